package web

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	maxStreams   = 1000 // at once
	maxOfSession = 6    // at once of one session: browsers open no more
	beat         = 15 * time.Second
)

// streams counts open event streams.
type streams struct {
	mu  sync.Mutex
	all int
	of  map[string]int

	once    sync.Once
	stopped chan struct{}
}

func newStreams() *streams { return &streams{of: map[string]int{}, stopped: make(chan struct{})} }

// Stop ends the event streams, so that a server can shut down.
func (d *Dashboard) Stop() { d.streams.once.Do(func() { close(d.streams.stopped) }) }

func (s *streams) enter(session string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= maxStreams || s.of[session] >= maxOfSession {
		return false
	}
	s.all++
	s.of[session]++
	return true
}

func (s *streams) leave(session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.of[session]--; s.of[session] == 0 {
		delete(s.of, session)
	}
}

// getEvents is a stream (HTML standard, "Server-sent events") of revisions:
// what changed is fetched as a page. It ends with the session.
func (d *Dashboard) getEvents(w http.ResponseWriter, r *http.Request) {
	session, ok := d.session(w, r, false)
	if !ok {
		w.WriteHeader(http.StatusNoContent) // tells the browser not to come again
		return
	}
	if !d.streams.enter(session.ID) {
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	defer d.streams.leave(session.ID)
	wake, cancel := d.Store.Subscribe()
	defer cancel()
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	if control.SetReadDeadline(time.Time{}) != nil { // the server's is for requests with an end
		return
	}
	tick := time.NewTicker(beat)
	defer tick.Stop()
	last := int64(-1)
	for {
		revision, err := d.Store.Revision(r.Context())
		if err != nil {
			return
		}
		line := ": still here\n\n"
		if revision != last {
			line = fmt.Sprintf("id: %d\ndata: %d\n\n", revision, revision)
		}
		last = revision
		if control.SetWriteDeadline(time.Now().Add(beat)) != nil {
			return
		}
		if _, err := w.Write([]byte(line)); err != nil || control.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-d.streams.stopped:
			return
		case <-wake:
		case <-tick.C:
			if _, err := d.Store.GetSession(r.Context(), session.ID, d.Now()); err != nil {
				return
			}
		}
	}
}
