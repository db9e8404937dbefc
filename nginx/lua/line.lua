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

-- Of the 4 s that a client waits at most for a processor (RENDER_QUEUE_TIMEOUT_S): the rest it waits there.
local PATIENCE_S = 2.5
-- While nobody in the line has got a place, there is no excess but something that hangs. If it is the store, which
-- has 3.5 s to answer (imagestore/s3client.py), the first ones hear of it then; and a refusal has 5 s.
local PATIENCE_AT_STANDSTILL_S = 4.5
-- Who has waited for so long has no time left to find that out anew: other processes of the API know nothing yet.
local TOO_LATE_S = 1
-- An answer that took so long to say that the store is away tells of a store that hangs (imagestore/s3.py), and
-- not of one original that is damaged; it holds until one of the API's processes tries again.
local HANG_S, AWAY_S, AWAY = 1, 1, "the store hangs"
-- Enough that the API's processors have work while originals come from a store that is far away, and half
-- of the threads that the API has (16 for each of as many processes as there are processors, up to four).
local PLACES_OF_A_WORKER = 8
local MAX_WAITING = 1000
-- A place that another worker has left is seen after so long.
local LOOK_S = 0.02

local count, place_s

-- By number; `first` is the head of the line if there is one.
local waiting, first, last = {}, 1, 0
-- How many have got a place here.
local served = 0

-- What the meter shows: of this worker, how many wait, and how many it has refused since it was asked last.
local how_many_wait, refused = 0, 0

-- Once, in the master process; 0 is a number that fits. The API has `answer_s` for an answer.
function line.configure(how_many, answer_s)
    count = assert(tonumber(how_many), "RENDER_PLACES is not a number")
    place_s = 2 * assert(tonumber(answer_s), "RENDER_WAIT_S is not a number")
    if count == 0 then
        count = PLACES_OF_A_WORKER * ngx.worker.count()
    end
end

local function take()
    for place = 1, count do
        if places:add(place, true, place_s) then
            served = served + 1
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

local function step_out(number)
    waiting[number] = nil
    how_many_wait = how_many_wait - 1
    while first <= last and not waiting[first] do
        first = first + 1
    end
    wake_head()
end

local function wait()
    local began, served_before = ngx.now(), served
    local turn = semaphore.new()
    last = last + 1
    local number = last
    waiting[number] = turn
    how_many_wait = how_many_wait + 1
    -- Whoever leaves gives up his turn, not only his answer.
    local is_gone = false
    ngx.on_abort(function()
        is_gone = true
        turn:post()
    end)
    local place, left
    local patience = PATIENCE_S
    repeat
        place = number == first and not is_gone and take()
        left = began + patience - ngx.now()
        if left <= 0 and patience == PATIENCE_S and served == served_before then
            patience = PATIENCE_AT_STANDSTILL_S
            left = began + patience - ngx.now()
        end
        if not place and not is_gone and left > 0 then
            -- Less than a millisecond would be no wait at all, and nginx' clock would stand still.
            turn:wait(math.max(0.001, number == first and math.min(LOOK_S, left) or left))
        end
    until place or is_gone or left <= 0
    step_out(number)
    return place, is_gone
end

-- A place in the API, if one is free and nobody waits for it.
function line.enter()
    local place = first > last and take()
    if place then
        ngx.var.place = place
    end
    return place
end

-- Wait for a place; in a location with lua_check_client_abort. Nothing and the problem if none came free in time,
-- and no return for a client that left. Whoever has a place is on the way to the API, and `line.leave` is called
-- when it has answered, whatever it says.
function line.wait()
    local began = ngx.now()
    local place, is_gone
    if last - first < MAX_WAITING then
        place, is_gone = wait()
    end
    local waited = math.max(0, ngx.now() - began)
    local var = ngx.var
    var.place = place or ""
    if is_gone then
        return ngx.exit(499)
    end
    if waited > TOO_LATE_S and places:get(AWAY) then
        line.leave()
        return nil, "storage-unavailable"
    end
    if not place then
        refused = refused + 1
        return nil, "overloaded"
    end
    var.waited = string.format("%.3f", waited)
    return place
end

-- Header handler of the API's answers: what they say of the store, for those that wait for it too.
function line.learn()
    local var = ngx.var
    if var.upstream_http_x_problem == "storage-unavailable" and (tonumber(var.upstream_header_time) or 0) > HANG_S then
        places:set(AWAY, true, AWAY_S)
    end
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
