package outbox

import (
	"testing"
	"time"

	"github.com/hardstand/hardstand/internal/deptest"
)

func TestBackoff(t *testing.T) {
	for attempts, want := range map[int]time.Duration{0: time.Second, 1: 2 * time.Second, 4: 16 * time.Second, 20: 5 * time.Minute, 100: 5 * time.Minute} {
		low, high := time.Hour, time.Duration(0)
		for range 200 {
			d := Backoff(attempts, time.Second, 5*time.Minute)
			low, high = min(low, d), max(high, d)
		}
		if low < want/2 || high > want || high == low {
			t.Errorf("attempt %d: %v to %v, want between %v and %v", attempts, low, high, want/2, want)
		}
	}
}

func TestDependencies(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/canary/alert":           "through the store's nouns",
		"github.com/hardstand/hardstand/canary/collector/store": "what is delivered",
	})
}
