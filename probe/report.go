package main

import (
	"github.com/hardstand/hardstand/probe/internal/check"
	"github.com/hardstand/hardstand/probe/internal/option"
	"github.com/hardstand/hardstand/probe/internal/wire"
)

// This file is used by both paths: nothing in it may allocate.

// attemptTime returns how long the next attempt may take: the timeout, or what
// is left of --wait if that is less, but never nothing.
func attemptTime(o *option.Options, began int64) int64 {
	if o.Wait == 0 {
		return o.Timeout
	}
	return max(min(o.Timeout, began+o.Wait-memory.state.Now()), 1e6)
}

// again pauses before the next attempt; false if there is none.
func again(o *option.Options, began int64) bool {
	if o.Wait == 0 || memory.state.Now()+o.Interval >= began+o.Wait {
		return false
	}
	memory.state.Sleep(o.Interval)
	return true
}

// report prints the outcome of the checks, or of the latch, and returns the
// exit code. Healthy goes to standard output, anything else to standard error:
// Docker keeps both.
func report(o *option.Options, states []*check.State, latch bool) int {
	w := wire.NewBuffer(memory.buffers.Spare())
	class := check.Healthy
	for i, s := range states {
		if class == check.Healthy {
			class = s.Class
		}
		c := &o.Checks[i]
		if latch {
			c = nil
		}
		if o.JSON {
			putJSON(&w, c, s, i, len(states))
		} else {
			putLine(&w, c, s, o.Verbose)
		}
	}
	fd := 1
	if class != check.Healthy && !o.JSON {
		fd = 2
	}
	memory.state.Print(fd, w.Bytes())
	if class != check.Healthy && !o.Detailed {
		return 1
	}
	return int(class)
}

// putLine appends "healthy TARGET: what (time)" and, if verbose, the phases.
func putLine(w *wire.Buffer, c *check.Check, s *check.State, verbose bool) {
	if s.Class == check.Healthy {
		w.Str("healthy")
	} else {
		w.Str("unhealthy")
	}
	if c != nil {
		w.Byte(' ')
		c.PutTarget(w)
	}
	w.Str(": ")
	w.Raw(s.Message())
	if c != nil {
		w.Str(" (")
		check.PutDuration(w, s.Total)
		w.Byte(')')
	}
	w.Byte('\n')
	if !verbose || c == nil {
		return
	}
	for p := range check.Phases {
		w.Str("  ")
		w.Str(p.Name())
		w.Byte(' ')
		check.PutDuration(w, s.Took[p])
		w.Byte('\n')
	}
}

// putJSON appends one object for one check, an array for several.
func putJSON(w *wire.Buffer, c *check.Check, s *check.State, i, n int) {
	if n > 1 && i == 0 {
		w.Byte('[')
	}
	w.Str(`{"healthy":`)
	if s.Class == check.Healthy {
		w.Str("true")
	} else {
		w.Str("false")
	}
	if c != nil {
		w.Str(`,"target":`)
		var text [512]byte
		t := wire.NewBuffer(text[:])
		c.PutTarget(&t)
		w.Quoted(t.Bytes())
	}
	w.Str(`,"message":`)
	w.Quoted(s.Message())
	w.Str(`,"code":`)
	w.Int(int64(s.Class))
	if c != nil {
		w.Str(`,"total_us":`)
		w.Int(s.Total / 1000)
		for p := range check.Phases {
			w.Str(`,"`)
			w.Str(p.Name())
			w.Str(`_us":`)
			w.Int(s.Took[p] / 1000)
		}
	}
	w.Byte('}')
	switch {
	case i < n-1:
		w.Byte(',')
	case n > 1:
		w.Byte(']')
	}
	if i == n-1 {
		w.Byte('\n')
	}
}
