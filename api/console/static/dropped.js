// The files of a drop or of a file chooser as {file, path}; folders are walked.

export function chosenFiles(list) {
  return visible([...list].map((file) => ({ file, path: file.webkitRelativePath || file.name })));
}

export async function droppedFiles(transfer) {
  // Asked for before the first await: the list is empty after the event. What is not of a file system
  // (a picture out of a program) has no entry.
  const items = [...transfer.items].filter((item) => item.kind === "file");
  const dropped = items.map((item) => item.webkitGetAsEntry() ?? item.getAsFile());
  const found = await Promise.all(
    dropped.filter(Boolean).map((each) => (each instanceof File ? chosenFiles([each]) : walk(each, ""))),
  );
  return visible(found.flat());
}

async function walk(entry, path) {
  if (entry.isFile) {
    const file = await new Promise((done, failed) => entry.file(done, failed));
    return [{ file, path: path + entry.name }];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    // A reader gives about a hundred entries at a time, and none at the end.
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return found;
    for (const each of some) found.push(...(await walk(each, `${path}${entry.name}/`)));
  }
}

// Without what systems leave in folders (.DS_Store, Thumbs.db).
function visible(files) {
  return files.filter(({ file }) => !file.name.startsWith(".") && file.name !== "Thumbs.db");
}
