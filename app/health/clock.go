package health

import (
	"math"
	"time"
)

// Instants inside the package are nanoseconds since epoch on the monotonic
// clock, so that a step of the wall clock neither ages nor refreshes a result.
// They are negative inside a testing/synctest bubble, whose clock starts in
// 2000; only differences and the two sentinels have a meaning.
var epoch = time.Now()

const (
	never   = math.MinInt64
	forever = math.MaxInt64
)

func now() int64 { return int64(time.Since(epoch)) }

// wall converts an instant to the time of day as the wall clock tells it now.
func wall(instant int64) time.Time {
	return time.Now().Add(time.Duration(instant - now()))
}

// after returns instant+d, or forever when that does not fit.
func after(instant int64, d time.Duration) int64 {
	if sum := instant + int64(d); sum >= instant || d < 0 {
		return sum
	}
	return forever
}
