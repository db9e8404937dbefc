-- The line before the API: of pictures that have to be made, only a few are asked of it at once. The others
-- wait here, where that costs a timer and no thread, for as long as a client is likely to; then they are
-- refused. So the API has threads for all other requests, and an excess costs it nothing.
--
-- A place is a key of a dictionary that all workers share, so there is no count that a killed worker could
-- leave wrong: its places come free with their time. In each worker there is a line, first come, first
-- served, and only its head looks for a place.

local semaphore = require "ngx.semaphore"

local line = {}

local places = ngx.shared.places

-- Longer than any answer of the API takes (proxy_read_timeout).
local PLACE_S = 60
-- Of the 4 s that a client waits at most for a processor (RENDER_QUEUE_TIMEOUT_S): the rest it waits there.
local PATIENCE_S = 2.5
-- Enough that the API's processors have work while originals come from a store that is far away, and half
-- of the threads that the API has (16 for each of as many processes as there are processors, up to four).
local PLACES_OF_A_WORKER = 8
local MAX_WAITING = 1000
-- A place that another worker has left is seen after so long.
local LOOK_S = 0.02

local count

-- By number; `first` is the head of the line if there is one.
local waiting, first, last = {}, 1, 0

-- What the meter shows: of this worker, how many wait, and how many it has refused since it was asked last.
local how_many_wait, refused = 0, 0

-- Once, in the master process; 0 is a number that fits.
function line.configure(how_many)
    count = assert(tonumber(how_many), "RENDER_PLACES is not a number")
    if count == 0 then
        count = PLACES_OF_A_WORKER * ngx.worker.count()
    end
end

local function take()
    for place = 1, count do
        if places:add(place, true, PLACE_S) then
            return place
        end
    end
    return nil
end

local function wake_head()
    local head = waiting[first]
    if head then
        head:post()
    end
end

local function go(number)
    waiting[number] = nil
    how_many_wait = how_many_wait - 1
    while first <= last and not waiting[first] do
        first = first + 1
    end
    wake_head()
end

local function wait(seconds)
    local deadline = ngx.now() + seconds
    local turn = semaphore.new()
    last = last + 1
    local number = last
    waiting[number] = turn
    how_many_wait = how_many_wait + 1
    local place
    repeat
        local left = deadline - ngx.now()
        place = number == first and take()
        if not place and left > 0 then
            -- Less than a millisecond would be no wait at all, and nginx' clock would stand still.
            turn:wait(math.max(0.001, number == first and math.min(LOOK_S, left) or left))
        end
    until place or left <= 0
    go(number)
    return place
end

-- A place, and whether it had to be waited for; false if none came free in time. Whoever has a place
-- is on the way to the API, and `line.leave` is called when it has answered, whatever it says.
function line.enter()
    local began = ngx.now()
    local place = first > last and take()
    local has_waited = not place
    if has_waited then
        place = last - first < MAX_WAITING and wait(PATIENCE_S)
        if not place then
            refused = refused + 1
            return false
        end
    end
    local var = ngx.var
    var.place = place
    var.waited = has_waited and string.format("%.3f", math.max(0, ngx.now() - began)) or ""
    return place, has_waited
end

-- Header and log handler; also called where nginx goes on without the API (X-Accel-Redirect), since a location's
-- handlers end with it.
function line.leave()
    local place = tonumber(ngx.var.place)
    if place then
        ngx.var.place = ""
        places:delete(place)
        wake_head()
    end
end

-- How many wait in this worker, and how many it has refused since the last call.
function line.news()
    local since = refused
    refused = 0
    return how_many_wait, since
end

return line
