package health_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hardstand/hardstand/app/health"
)

func TestCloseLeavesNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := goroutines()
		r := quiet()
		for i := range 200 {
			name := string(rune('a'+i%26)) + string(rune('0'+i/26))
			add(t, r, name, func(ctx context.Context) error {
				select {
				case <-ctx.Done():
				case <-time.After(time.Second):
				}
				return nil
			}, health.Every(2*time.Second))
			r.RegisterPeriodicFunc(name+"p", time.Second, func() error { return nil })
			r.RegisterFunc(name+"s", func() error { time.Sleep(time.Second); return nil })
			r.Register(name+"w", health.PeriodicChecker(health.CheckFunc(func() error { return nil }), time.Second))
		}
		stop := r.OnChange(func(health.Change) {})
		defer stop()
		go r.CheckStatus()
		time.Sleep(500 * time.Millisecond)
		closeRegistry(t, r)
		time.Sleep(2 * time.Second) // the callers' own goroutines end
		synctest.Wait()
		if n := goroutines() - before; n != 0 {
			t.Errorf("%d goroutines left", n)
		}
		if _, err := r.Add("late", ok); !errors.Is(err, health.ErrClosed) {
			t.Errorf("Add after Close: %v", err)
		}
		if got := ready(r); got != 503 {
			t.Errorf("closed registry: %d, want 503", got)
		}
		if err := r.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
}

// docker leaks the goroutine of a periodic check whose registration is refused,
// and of every checker that is dropped.
func TestDroppedPeriodicCheckerStops(t *testing.T) {
	before := goroutines()
	for range 100 {
		health.PeriodicChecker(health.CheckFunc(func() error { return nil }), time.Hour)
	}
	for deadline := time.Now().Add(10 * time.Second); goroutines() > before; {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines left", goroutines()-before)
		}
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
}

func TestRemove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet()
		defer closeRegistry(t, r)
		before := goroutines()
		c := add(t, r, "tenant", func(context.Context) error { return errors.New("bad") })
		if _, err := r.Add("tenant", ok); !errors.Is(err, health.ErrDuplicate) {
			t.Errorf("second Add: %v", err)
		}
		synctest.Wait()
		if got := ready(r); got != 503 {
			t.Errorf("registered: %d", got)
		}
		c.Remove()
		c.Remove()
		if got := ready(r); got != 200 {
			t.Errorf("removed: %d", got)
		}
		add(t, r, "tenant", ok).Remove()
		synctest.Wait()
		if n := goroutines() - before; n != 0 {
			t.Errorf("%d goroutines left", n)
		}
	})
}

func TestUnusableOptionsAreErrors(t *testing.T) {
	r := quiet()
	for name, opts := range map[string][]health.Option{
		"every":                  {health.Every(0)},
		"every-neg":              {health.Every(-1)},
		"every-max":              {health.Every(math.MaxInt64)},
		"timeout":                {health.Timeout(0)},
		"age":                    {health.MaxAge(-1)},
		"delay":                  {health.InitialDelay(-1)},
		"jitter":                 {health.Jitter(1)},
		"nan":                    {health.Jitter(math.NaN())},
		"threshold":              {health.Threshold(0, 1)},
		"group":                  {health.In(0)},
		"group-8":                {health.In(8)},
		"line\n":                 nil,
		"":                       nil,
		"\xff":                   nil,
		strings.Repeat("x", 201): nil,
	} {
		if _, err := r.Add(name, ok, opts...); err == nil {
			t.Errorf("%q is accepted", name)
		}
	}
	if _, err := r.Add("nil", nil); err == nil {
		t.Error("a nil function is accepted")
	}
	if n := len(r.Status(health.Any).Checks); n != 0 {
		t.Errorf("%d checks registered", n)
	}
}
