-- A wrk script: POST one body again and again, each time with another start of the interval.
--
--   wrk … -s varied_requests.lua URL -- BODY_FILE FIRST STEP
--
-- BODY_FILE contains @START@ where the moment belongs. FIRST is the first request's moment, in milliseconds since 1970;
-- each further request's moment is STEP milliseconds later. With STEP 0 all requests are identical.
-- The last line of output is a JSON object with what wrk measured; times are in microseconds.

local before, after, moment, step

function init(arguments)
   local file = assert(io.open(arguments[1]))
   local body = file:read("*a")
   file:close()
   local first, last = body:find("@START@", 1, true)
   before, after = body:sub(1, first - 1), body:sub(last + 1)
   moment, step = tonumber(arguments[2]), tonumber(arguments[3])
end

function request()
   local seconds = math.floor(moment / 1000)
   local start = os.date("!%Y-%m-%dT%H:%M:%S", seconds) .. string.format(".%03dZ", moment - seconds * 1000)
   moment = moment + step
   return wrk.format("POST", nil, nil, before .. start .. after)
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '{"requests":%d,"duration":%d,"p50":%d,"p99":%d,"failed":%d}\n',
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
      errors.connect + errors.read + errors.write + errors.status + errors.timeout
   ))
end
