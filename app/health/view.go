package health

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"time"
)

// view is the answer of a group at one generation. It holds until a check
// reports a change or its time is up, whichever is first, so a scheduler that
// died does not leave a healthy view behind.
type view struct {
	gen    uint64
	until  int64 // never: good for one answer only
	state  State
	drain  string
	failed []verdict // checks that are not Pass
	bodies [Full + 1]atomic.Pointer[body]
	// reports are the long answers by format, verbosity and detail.
	reports [Text + 1][2][Full + 1]atomic.Pointer[written]

	over  atomic.Bool // of gateView: set by timer when the view's time is up
	timer *time.Timer
}

type verdict struct {
	check *Check
	state State
	level State
	err   error
}

// written is a report that is good until another result comes in.
type written struct {
	body
	runs  uint64
	state State
}

type body struct {
	text   []byte
	length []string
}

// gateView is the slot of the view that Handler uses: all groups, but not
// draining, because a program that drains still serves.
const gateView = Group(0)

// view returns the present answer of slot, which is a group or gateView.
func (r *Registry) view(ctx context.Context, slot Group) *view {
	if v := r.views[slot].Load(); v != nil && v.gen == r.gen.Load() && v.holds(slot) {
		return v
	}
	g := slot
	if slot == gateView {
		g = Any
	}
	r.refresh(ctx, g)
	v := r.walk(g, slot != gateView, nil)
	if v.until != never {
		r.keep(slot, v)
	}
	return v
}

// holds reports whether the view's time is not up. Every request to the
// application pays for the gate, and reading the clock is most of what that
// costs, so its view has a timer instead. A runtime whose timers are stuck
// serves no requests either.
func (v *view) holds(slot Group) bool {
	if slot == gateView {
		return !v.over.Load()
	}
	return v.until == forever || now() < v.until
}

func (r *Registry) keep(slot Group, v *view) {
	if v != nil && slot == gateView && v.until != forever {
		v.timer = time.AfterFunc(time.Duration(v.until-now()), func() { v.over.Store(true) })
	}
	if old := r.views[slot].Swap(v); old != nil && old.timer != nil {
		old.timer.Stop()
	}
}

// walk evaluates the checks of g that skip does not name.
func (r *Registry) walk(g Group, draining bool, skip map[string]bool) *view {
	v := &view{gen: r.gen.Load(), until: forever, state: Pass}
	if reason := r.drain.Load(); reason != nil && draining && g&Ready != 0 {
		v.drain, v.state = *reason, Fail
	}
	t := now()
	for _, c := range r.checks() {
		if c.group&g == 0 || skip[c.name] {
			continue
		}
		s, out, until := c.cell.eval(t)
		v.until = min(v.until, c.expiry(until, out))
		if level := c.weigh(s, g); level != Pass {
			v.state = max(v.state, level)
			v.failed = append(v.failed, verdict{c, s, level, c.cell.problem(s, out)})
		}
	}
	return v
}

// expiry lowers until for a check on demand, which an answer makes run again.
func (c *Check) expiry(until int64, out *outcome) int64 {
	switch {
	case c.runner == nil || c.runner.every > 0:
		return until
	case c.runner.ttl == 0, out.runs == 0:
		return never
	}
	return min(until, after(out.at, c.runner.ttl))
}

// docker returns the view as docker's handler writes it: a JSON object of the
// failing checks, keys sorted, without a newline.
func (v *view) docker(d Detail) *body {
	if b := v.bodies[d].Load(); b != nil {
		return b
	}
	failing := map[string]string{}
	if v.drain != "" {
		failing["shutdown"] = v.drain
	}
	for _, f := range v.failed {
		if f.level == Fail && d > Never {
			failing[f.check.name] = f.text(d)
		}
	}
	text, err := json.Marshal(failing)
	if err != nil { // a map of strings always marshals
		text = []byte("{}")
	}
	b := newBody(text)
	v.bodies[d].Store(b)
	return b
}

const withheld = "reason withheld"

func (f *verdict) text(d Detail) string {
	switch {
	case d == Full:
		return errorText(f.err)
	case f.check.public != "":
		return f.check.public
	}
	return withheld
}
