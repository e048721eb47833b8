package health

import (
	"context"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Change is the transition of one check.
type Change struct {
	Name   string
	From   State
	Result Result // since the transition
}

// watch tells observers what changed. It has no goroutine of its own while
// nothing changes: a change, or the timer of the next instant at which a state
// may turn by itself, starts one that ends when all is told.
type watch struct {
	pump  atomic.Int32
	subs  atomic.Pointer[[]*subscriber]
	mu    sync.Mutex
	timer *time.Timer
	over  bool
}

const (
	pumpIdle = iota
	pumpBusy
	pumpAgain
)

type subscriber struct {
	change func(Change)
	ping   chan struct{}
}

func (r *Registry) wake() {
	if r.watch.subs.Load() == nil && r.log() == nil {
		return
	}
	for {
		switch p := &r.watch.pump; p.Load() {
		case pumpIdle:
			if p.CompareAndSwap(pumpIdle, pumpBusy) {
				go r.announce()
				return
			}
		case pumpBusy:
			if p.CompareAndSwap(pumpBusy, pumpAgain) {
				return
			}
		default:
			return
		}
	}
}

// log returns where changes are written, nil for nowhere.
func (r *Registry) log() *slog.Logger {
	l := r.logger
	if l == nil {
		l = slog.Default()
	}
	if !l.Enabled(context.Background(), slog.LevelError) {
		return nil
	}
	return l
}

// announce runs alone: wake starts no second one while it is busy.
func (r *Registry) announce() {
	p := &r.watch.pump
	for {
		r.announceOnce()
		if p.CompareAndSwap(pumpBusy, pumpIdle) {
			return
		}
		p.Store(pumpBusy)
	}
}

func (r *Registry) announceOnce() {
	t, until := now(), int64(forever)
	var subs []*subscriber
	if s := r.watch.subs.Load(); s != nil {
		subs = *s
	}
	for _, c := range r.checks() {
		s, _, expiry := c.cell.eval(t)
		until = min(until, expiry)
		if s == c.announced {
			continue
		}
		ch := Change{Name: c.name, From: c.announced, Result: r.explain(c, t).Result}
		c.announced = s
		r.logChange(ch)
		for _, sub := range subs {
			r.tell(sub, ch)
		}
	}
	for _, sub := range subs {
		select {
		case sub.ping <- struct{}{}:
		default:
		}
	}
	r.watch.arm(until, r.wake)
}

// tell calls a listener, which is code of the application.
func (r *Registry) tell(sub *subscriber, ch Change) {
	if sub.change == nil {
		return
	}
	defer func() {
		if v := recover(); v != nil {
			if l := r.log(); l != nil {
				l.Error("health listener panicked", "check", ch.Name, "panic", v)
			}
		}
	}()
	sub.change(ch)
}

func (r *Registry) logChange(ch Change) {
	l := r.log()
	if l == nil {
		return
	}
	level := slog.LevelInfo
	switch {
	case ch.Result.State.Failing():
		level = slog.LevelError
	case ch.Result.State == Warn:
		level = slog.LevelWarn
	case ch.From == Pending:
		level = slog.LevelDebug
	}
	attrs := []any{"check", ch.Name, "from", ch.From.String(), "to", ch.Result.State.String()}
	if ch.Result.Err != nil {
		attrs = append(attrs, "err", errorText(ch.Result.Err))
	}
	if ch.Result.Cause != "" {
		attrs = append(attrs, "cause", ch.Result.Cause)
	}
	l.Log(context.Background(), level, "health check changed", attrs...)
}

func (w *watch) arm(until int64, wake func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	if until != forever && !w.over {
		w.timer = time.AfterFunc(max(time.Duration(until-now())+1, time.Millisecond), wake)
	}
}

func (w *watch) close() {
	w.mu.Lock()
	w.over = true
	w.mu.Unlock()
	w.arm(forever, nil)
}

func (r *Registry) subscribe(s *subscriber) (stop func()) {
	r.watch.edit(func(list []*subscriber) []*subscriber { return append(list, s) })
	r.wake()
	return sync.OnceFunc(func() {
		r.watch.edit(func(list []*subscriber) []*subscriber {
			var rest []*subscriber
			for _, x := range list {
				if x != s {
					rest = append(rest, x)
				}
			}
			return rest
		})
	})
}

func (w *watch) edit(f func([]*subscriber) []*subscriber) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []*subscriber
	if old := w.subs.Load(); old != nil {
		list = append(list, *old...)
	}
	list = f(list)
	if len(list) == 0 {
		w.subs.Store(nil)
		return
	}
	w.subs.Store(&list)
}

// OnChange calls f for every transition of a check from now on, one at a time
// and under no lock; f may use the registry. A slow f delays the next call, not
// the checks. stop ends the calls, except for one under way.
func (r *Registry) OnChange(f func(Change)) (stop func()) {
	return r.or().subscribe(&subscriber{change: f})
}

// onDemandEvery is how often Watch asks checks that nobody else runs.
const onDemandEvery = 5 * time.Second

// Watch yields the state of the group now, and again after every change of it
// or of one of its checks, until ctx ends. Changes that follow each other
// faster than they are consumed are merged.
func (r *Registry) Watch(ctx context.Context, g Group) iter.Seq[Snapshot] {
	r = r.or()
	return func(yield func(Snapshot) bool) {
		ping := make(chan struct{}, 1)
		defer r.subscribe(&subscriber{ping: ping})()
		ticker := time.NewTicker(onDemandEvery)
		defer ticker.Stop()
		var last Snapshot
		r.refresh(ctx, g)
		for first := true; ctx.Err() == nil; first = false {
			if s := r.snapshot(g); first || !s.like(last) {
				last = s
				if !yield(s) {
					return
				}
			}
			select {
			case <-ctx.Done():
			case <-ping: // nothing runs here, or a result would call for the next run
			case <-ticker.C:
				r.refresh(ctx, g)
			}
		}
	}
}

func (s Snapshot) like(o Snapshot) bool {
	if s.State != o.State || s.Draining != o.Draining || len(s.Checks) != len(o.Checks) {
		return false
	}
	for i := range s.Checks {
		a, b := &s.Checks[i], &o.Checks[i]
		if a.Name != b.Name || a.State != b.State || errorText(a.Err) != errorText(b.Err) {
			return false
		}
	}
	return true
}
