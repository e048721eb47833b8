package cli

import (
	"fmt"
	"sync"
	"time"
)

// Progress draws one line on a terminal: what is being done, how many bytes
// of how many. Elsewhere it draws nothing.
type Progress struct {
	frame *Frame
	on    bool

	mu          sync.Mutex
	label       string
	done, total int64
	seen        map[string]bool
	drawn       time.Time
}

// redraw is the shortest time between two drawings.
const redraw = 80 * time.Millisecond

// NewProgress starts a line. Call Stop when the work is over.
func (f *Frame) NewProgress(label string, quiet bool) *Progress {
	return &Progress{frame: f, on: f.StderrIsTTY && !quiet, label: label, seen: map[string]bool{}}
}

// Label changes what the line says.
func (p *Progress) Label(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.label = fmt.Sprintf(format, args...)
	p.draw(true)
}

// Bytes adds to the bytes done of a named item with a known total.
func (p *Progress) Bytes(item string, n, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.seen[item] && total > 0 {
		p.seen[item] = true
		p.total += total
	}
	p.done += n
	p.draw(false)
}

func (p *Progress) draw(now bool) {
	if !p.on || !now && time.Since(p.drawn) < redraw {
		return
	}
	p.drawn = time.Now()
	text := p.label
	if p.total > 0 {
		text += fmt.Sprintf("  %s of %s", Size(p.done), Size(p.total))
	}
	fmt.Fprintf(p.frame.Stderr, "\r\x1b[K%.120s", text)
}

// Stop clears the line.
func (p *Progress) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on {
		fmt.Fprint(p.frame.Stderr, "\r\x1b[K")
		p.on = false
	}
}

// Size writes bytes for a person.
func Size(n int64) string {
	switch {
	case n >= 10_000_000:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	case n >= 1_000_000:
		return fmt.Sprintf("%.2f MB", float64(n)/1e6)
	case n >= 1000:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}
