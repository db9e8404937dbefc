// Every page of the console. To add one: a module in pages/ whose default export is a component, and a
// line here (docs/console.md). A page gets `args` and `query` of its route, `#/name/arg?key=value`.
import Gallery from "./pages/gallery.js";
import Overview from "./pages/overview.js";
import Picture from "./pages/picture.js";
import Tasks from "./pages/tasks.js";
import Upload from "./pages/upload.js";
import Watermarks from "./pages/watermarks.js";

// `title` stands in the navigation; pages without one are reached from others. The first is the start page.
export const PAGES = {
  gallery: { title: "Gallery", component: Gallery },
  picture: { heading: "Picture", component: Picture },
  upload: { title: "Upload", component: Upload },
  tasks: { title: "Tasks", component: Tasks },
  watermarks: { title: "Watermarks", component: Watermarks },
  overview: { title: "Overview", component: Overview },
};
