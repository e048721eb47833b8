package health_test

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hardstand/hardstand/app/health"
)

func add(t *testing.T, r *health.Registry, name string, f health.ContextFunc, opts ...health.Option) *health.Check {
	t.Helper()
	c, err := r.Add(name, f, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func get(h http.Handler, target string, header ...string) (int, string) {
	req := httptest.NewRequest("GET", target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w.Code, w.Body.String()
}

func ready(r *health.Registry) int {
	code, _ := get(r.Handler(health.Ready), "/readyz")
	return code
}

func closeRegistry(t *testing.T, r *health.Registry) {
	t.Helper()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func ok(context.Context) error { return nil }

// Peers kept answering 200 for 13 hours after a check stopped returning
// (dexidp/dex#4985), or leaked a goroutine per period.
func TestHungCheckFailsForAsLongAsItHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet()
		defer closeRegistry(t, r)
		var hang atomic.Bool
		var runs atomic.Int32
		release := make(chan struct{})
		c := add(t, r, "db", func(context.Context) error {
			runs.Add(1)
			if hang.Load() {
				<-release // ignores its context
			}
			return nil
		}, health.Every(10*time.Second), health.Timeout(5*time.Second), health.Jitter(0))
		gate := r.Gate(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		synctest.Wait()
		if got := ready(r); got != 200 {
			t.Fatalf("healthy: %d", got)
		}
		before := goroutines()
		hang.Store(true)
		time.Sleep(10*time.Second + 4*time.Second)
		if got := ready(r); got != 200 {
			t.Errorf("within the timeout: %d", got)
		}
		if code, _ := get(gate, "/"); code != 200 {
			t.Errorf("gate within the timeout: %d", code)
		}
		time.Sleep(1100 * time.Millisecond)
		hung := time.Now()
		for time.Since(hung) < 13*time.Hour {
			if got := ready(r); got != 503 {
				t.Fatalf("%v after the timeout: %d", time.Since(hung), got)
			}
			if code, _ := get(gate, "/"); code != 503 {
				t.Fatalf("gate %v after the timeout: %d", time.Since(hung), code)
			}
			time.Sleep(7 * time.Minute)
		}
		res := c.Result()
		if res.State != health.Hung || !errors.Is(res.Err, health.ErrHung) || res.Running < 13*time.Hour {
			t.Errorf("result %+v", res)
		}
		if d := hung.Sub(res.Since); d < 0 || d > 200*time.Millisecond {
			t.Errorf("hung since %v, want about %v", res.Since, hung)
		}
		if n := goroutines() - before; n != 0 {
			t.Errorf("%d more goroutines while hung", n)
		}
		if got := runs.Load(); got != 2 {
			t.Errorf("%d runs, want 2", got)
		}
		hang.Store(false)
		close(release)
		synctest.Wait()
		if got := ready(r); got != 200 {
			t.Errorf("released: %d", got)
		}
		if code, _ := get(gate, "/"); code != 200 {
			t.Errorf("gate after release: %d", code)
		}
	})
}

func TestRunOverTheTimeoutIsAFailureEvenIfItSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet()
		c := add(t, r, "slow", func(context.Context) error { time.Sleep(6 * time.Second); return nil },
			health.Timeout(5*time.Second))
		for range 100 {
			time.Sleep(1700 * time.Millisecond)
			if s := c.Result().State; s == health.Pass || s == health.Warn {
				t.Fatalf("state %v", s)
			}
		}
		if err := r.Close(); err == nil {
			t.Error("Close does not name the check that is over its timeout")
		}
		time.Sleep(6 * time.Second) // let it end
	})
}

func TestContextEndsAtTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet()
		defer closeRegistry(t, r)
		c := add(t, r, "polite", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			health.Timeout(time.Second), health.Every(time.Minute))
		time.Sleep(1100 * time.Millisecond)
		if res := c.Result(); res.State != health.Fail || res.Running != 0 || !errors.Is(res.Err, context.DeadlineExceeded) {
			t.Errorf("result %+v", res)
		}
		time.Sleep(50 * time.Second)
		if n := c.Result().Runs; n != 1 {
			t.Errorf("%d runs in the first minute, want 1: a timeout is no reason to hurry", n)
		}
	})
}

// docker's periodic checks pass for a whole period before they first run.
func TestFirstRunIsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet()
		defer closeRegistry(t, r)
		r.RegisterPeriodicFunc("bad", time.Hour, func() error { return errors.New("bad") })
		p := health.PeriodicChecker(health.CheckFunc(func() error { return errors.New("worse") }), time.Hour)
		r.Register("worse", p)
		synctest.Wait()
		if got := r.CheckStatus(); got["bad"] != "bad" || got["worse"] != "worse" {
			t.Errorf("%v", got)
		}
	})
}

// As in docker, a periodic check registered the old way passes until its first
// run ends, which is now a run and not a period.
func TestDockersPeriodicChecksPassDuringTheirFirstRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet()
		defer closeRegistry(t, r)
		r.RegisterPeriodicFunc("slow", time.Hour, func() error { time.Sleep(time.Second); return errors.New("bad") })
		synctest.Wait()
		if got := r.CheckStatus(); len(got) != 0 {
			t.Errorf("during the first run: %v", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := r.CheckStatus(); got["slow"] != "bad" {
			t.Errorf("after it: %v", got)
		}
	})
}

func TestPendingRefusesTrafficButDoesNotKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet()
		defer closeRegistry(t, r)
		add(t, r, "warming", ok, health.InitialDelay(time.Minute), health.In(health.Any))
		add(t, r, "trusted", ok, health.InitialDelay(time.Minute), health.InitiallyHealthy())
		want := map[health.Group]health.State{health.Live: health.Pass, health.Ready: health.Fail, health.Startup: health.Fail}
		for g, state := range want {
			if got := r.Status(g).State; got != state {
				t.Errorf("%v before the first run: %v, want %v", g, got, state)
			}
		}
		time.Sleep(61 * time.Second)
		for g := range want {
			if got := r.Status(g).State; got != health.Pass {
				t.Errorf("%v after it: %v", g, got)
			}
		}
	})
}

func TestStaleWhenNobodyTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet()
		defer closeRegistry(t, r)
		u := health.TTL(time.Minute)
		r.Register("heartbeat", u)
		if got := ready(r); got != 503 {
			t.Errorf("before the first update: %d", got)
		}
		u.Update(nil)
		time.Sleep(time.Minute)
		if got := ready(r); got != 200 {
			t.Errorf("at the limit: %d", got)
		}
		time.Sleep(time.Nanosecond)
		if got := ready(r); got != 503 {
			t.Errorf("over it: %d", got)
		}
		if res := r.Lookup("heartbeat").Result(); res.State != health.Stale || !errors.Is(res.Err, health.ErrStale) {
			t.Errorf("result %+v", res)
		}
		u.Update(nil)
		if got := ready(r); got != 200 {
			t.Errorf("told again: %d", got)
		}
	})
}

func TestThresholdsDampFlapping(t *testing.T) {
	for _, c := range []struct {
		fail, pass int
		runs       string // f: failure, .: success
		states     string // P: pending, f: fail, .: pass
	}{
		{1, 1, "f.f.", "f.f."},
		{3, 1, "..ff.fff.", ".......f."},
		{1, 3, "...f..f...", "PP.ffffff."},
		{2, 2, "f.ff..", "PPPff."},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := quiet()
			defer closeRegistry(t, r)
			i := 0
			k := add(t, r, "x", func(context.Context) error {
				i++
				if i > len(c.runs) || c.runs[i-1] == '.' {
					return nil
				}
				return errors.New("bad")
			}, health.Every(time.Second), health.Jitter(0), health.Threshold(c.fail, c.pass))
			var states strings.Builder
			for range c.runs {
				synctest.Wait()
				states.WriteByte(map[health.State]byte{health.Pending: 'P', health.Pass: '.', health.Fail: 'f'}[k.Result().State])
				time.Sleep(time.Second)
			}
			if states.String() != c.states {
				t.Errorf("threshold %d/%d, runs %s: states %s, want %s", c.fail, c.pass, c.runs, &states, c.states)
			}
		})
	}
}

func TestJitterSpreadsTheIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet()
		defer closeRegistry(t, r)
		var starts []time.Time
		add(t, r, "x", func(context.Context) error { starts = append(starts, time.Now()); return nil },
			health.Every(100*time.Second), health.Jitter(0.2))
		time.Sleep(10000 * time.Second)
		synctest.Wait()
		lo, hi := time.Duration(math.MaxInt64), time.Duration(0)
		for i := 1; i < len(starts); i++ {
			d := starts[i].Sub(starts[i-1])
			lo, hi = min(lo, d), max(hi, d)
		}
		if len(starts) < 80 || lo < 80*time.Second || hi > 120*time.Second || hi-lo < 10*time.Second {
			t.Errorf("%d runs, intervals %v to %v", len(starts), lo, hi)
		}
	})
}

// In every peer but one a panic ends the process.
func TestPanicIsAFailedCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet()
		defer closeRegistry(t, r)
		for name, f := range map[string]health.ContextFunc{
			"panics":  func(context.Context) error { panic("boom") },
			"nil":     func(context.Context) error { return []error{}[len(t.Name())] },
			"goexit":  func(context.Context) error { runtime.Goexit(); return nil },
			"no-text": func(context.Context) error { return (*noText)(nil) },
		} {
			add(t, r, name, f, health.Every(time.Second), health.In(health.Any))
			add(t, r, name+"-asked", f, health.OnDemand(0))
		}
		r.Register("sync", health.CheckFunc(func() error { panic("boom") }))
		r.RegisterPeriodicFunc("period-0", 0, func() error { panic("boom") })
		for range 3 {
			time.Sleep(1500 * time.Millisecond)
			got := r.CheckStatus()
			if len(got) != len(r.Status(health.Any).Checks) || len(got) != 10 {
				t.Fatalf("failing: %v", got)
			}
			if got["panics"] != "check panicked: boom" || got["sync"] != "check panicked: boom" {
				t.Errorf("texts: %v", got)
			}
		}
		if runs := r.Lookup("goexit").Result().Runs; runs < 3 {
			t.Errorf("a check that calls Goexit ran %d times: it must go on", runs)
		}
	})
}

type noText struct{ text string }

func (e *noText) Error() string { return e.text }

// docker runs synchronous checks one after the other: 10 of 100 ms take 1 s.
func TestChecksOnDemandRunTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet()
		defer closeRegistry(t, r)
		for _, name := range strings.Fields("a b c d e f g h i j") {
			r.RegisterFunc(name, func() error { time.Sleep(100 * time.Millisecond); return nil })
		}
		begin := time.Now()
		r.CheckStatus()
		if d := time.Since(begin); d != 100*time.Millisecond {
			t.Errorf("10 checks of 100 ms took %v", d)
		}
	})
}

// In docker a hung check and one waiting Register block every later probe, and a
// check that registers another blocks itself.
func TestHungCheckBlocksNeitherRegisterNorProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet()
		release := make(chan struct{})
		r.RegisterFunc("hung", func() error { <-release; return nil })
		r.RegisterFunc("registers", func() error {
			if r.Lookup("child") == nil {
				r.RegisterFunc("child", func() error { return nil })
			}
			return nil
		})
		begin := time.Now()
		var wg sync.WaitGroup
		for range 4 { // in alexliesenfeld/health, four probes wait four times as long
			wg.Go(func() { r.CheckStatus() })
		}
		synctest.Wait()
		r.RegisterFunc("other", func() error { return nil })
		if d := time.Since(begin); d != 0 {
			t.Errorf("Register waited %v", d)
		}
		wg.Wait()
		if d := time.Since(begin); d > 10*time.Second+time.Millisecond {
			t.Errorf("four probes took %v, want the timeout of ten seconds", d)
		}
		begin = time.Now()
		before := goroutines()
		for range 100 {
			if got := r.CheckStatus(); !strings.HasPrefix(got["hung"], "check is hung: running since ") {
				t.Fatalf("%v", got)
			}
		}
		synctest.Wait()
		if d, n := time.Since(begin), goroutines()-before; d != 0 || n > 0 {
			t.Errorf("later probes took %v and left %d goroutines", d, n)
		}
		if err := r.Close(); err == nil || !strings.Contains(err.Error(), "hung") {
			t.Errorf("Close: %v, want the hung check named", err)
		}
		close(release)
	})
}

// In alexliesenfeld/health a client that goes away makes the next probe fail.
func TestClientThatLeavesDoesNotSpoilTheResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet()
		defer closeRegistry(t, r)
		add(t, r, "slow", func(ctx context.Context) error {
			select {
			case <-time.After(300 * time.Millisecond):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}, health.OnDemand(time.Second))
		h := r.Handler(health.Ready)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(50 * time.Millisecond); cancel() }()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/", nil))
		if code, body := get(h, "/"); code != 200 {
			t.Errorf("the next probe: %d %s", code, body)
		}
	})
}

func TestOnDemandSharesRunsAndResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet()
		defer closeRegistry(t, r)
		c := add(t, r, "cost", func(context.Context) error { time.Sleep(time.Second); return nil }, health.OnDemand(10*time.Second))
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if got := ready(r); got != 200 {
					t.Errorf("%d", got)
				}
			})
		}
		wg.Wait()
		ready(r)
		if n := c.Result().Runs; n != 1 {
			t.Errorf("51 probes: %d runs, want 1", n)
		}
		time.Sleep(10*time.Second + 1)
		ready(r)
		if n := c.Result().Runs; n != 2 {
			t.Errorf("after the time to live: %d runs, want 2", n)
		}
	})
}

func TestRunNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet()
		defer closeRegistry(t, r)
		n := 0
		c := add(t, r, "x", func(context.Context) error { n++; return nil }, health.Every(time.Hour))
		synctest.Wait()
		if res := c.RunNow(t.Context()); res.Runs != 2 || n != 2 {
			t.Errorf("%d runs, result %+v", n, res)
		}
		release := make(chan struct{})
		stuck := add(t, r, "stuck", func(context.Context) error { <-release; return nil }, health.Every(time.Hour), health.Timeout(time.Second))
		if res := stuck.RunNow(t.Context()); res.State != health.Hung {
			t.Errorf("RunNow of a stuck check: %+v", res)
		}
		close(release)
	})
}

func TestRunNowOnDemandBeginsAfterTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := quiet()
		defer closeRegistry(t, r)
		var starts []time.Time
		c := add(t, r, "x", func(context.Context) error {
			starts = append(starts, time.Now())
			time.Sleep(time.Second)
			return nil
		}, health.OnDemand(time.Hour))
		go r.CheckStatus()
		time.Sleep(500 * time.Millisecond)
		called := time.Now()
		if res := c.RunNow(t.Context()); res.Runs != 2 || starts[1].Before(called) {
			t.Errorf("%d runs, the last from %v, called at %v", res.Runs, starts[len(starts)-1], called)
		}
	})
}
