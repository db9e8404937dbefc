-- Notices that the wall clock was set back. What nginx remembers for a second ends by that clock, and would
-- be remembered for as long as the step was. Timers of nginx do not follow it, so that between two looks it
-- only goes forward, unless it was set back by more than the time between them.

local clock = {}

local LOOK_S = 1

local seen

local function look(premature)
    if premature then
        return
    end
    local now = ngx.now()
    if now < seen then
        ngx.shared.pointers:flush_all()
        ngx.shared.breaker:flush_all()
        ngx.log(ngx.ERR, "the clock was set back by ", math.floor(seen - now), " s: forgetting which pictures URLs mean")
    end
    seen = now
end

-- Once in each worker.
function clock.watch()
    seen = ngx.now()
    assert(ngx.timer.every(LOOK_S, look))
end

return clock
