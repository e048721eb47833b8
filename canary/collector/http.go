package collector

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store"
)

const (
	maxShipment = 1 << 20 // bytes of one request of a shipper or Falco
	retryAfter  = "1"     // seconds
)

// Handler serves what decoys and shippers send:
//
//	POST /v1/alerts    one alarm line, as decoys and guards send it
//	POST /v1/drills    a drill's line: what became of its messages
//	POST /v1/lines     lines of logs, plain or JSON, from Fluent Bit or Vector
//	POST /v1/falco     alerts of Falco or falcosidekick, JSON
//	GET  /livez        the process answers
//	GET  /readyz       the store can write
//
// The answers: 202 stored, or known already; 400 not an alarm; 401 a shipper
// without the ingest token; 403 forged, stale or revoked; 413 too long; 429
// and 503 try again.
func (c *Collector) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/alerts", c.postAlert)
	mux.HandleFunc("POST /v1/drills", c.postDrill)
	mux.HandleFunc("POST /v1/lines", c.shipment(store.ChannelLog, c.takeLines))
	mux.HandleFunc("POST /v1/falco", c.shipment(store.ChannelFalco, c.takeFalco))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") }) // the client may be gone
	mux.HandleFunc("GET /readyz", c.getReady)
	return mux
}

func (c *Collector) getReady(w http.ResponseWriter, r *http.Request) {
	if err := c.Ready(r.Context()); err != nil {
		http.Error(w, "the store cannot write", http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ok\n") // the client may be gone
}

func (c *Collector) postAlert(w http.ResponseWriter, r *http.Request) {
	body, ok := c.read(w, r, store.ChannelHTTPS, alert.MaxMessage)
	if !ok {
		return
	}
	_, err := c.Alarm(r.Context(), body, store.ChannelHTTPS, r.RemoteAddr)
	answer(w, err)
}

// read reads a body of at most limit bytes, or answers.
func (c *Collector) read(w http.ResponseWriter, r *http.Request, channel store.Channel, limit int64) ([]byte, bool) {
	var buf bytes.Buffer
	if r.ContentLength > 0 && r.ContentLength <= limit {
		buf.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	if err == nil {
		return buf.Bytes(), true
	}
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		c.metrics.receive(channel)
		c.metrics.reject(channel, Oversized)
		answer(w, Oversized)
		return nil, false
	}
	http.Error(w, "the body did not arrive", http.StatusBadRequest)
	return nil, false
}

// answer tells the sender what became of it, and nothing else.
func answer(w http.ResponseWriter, err error) {
	status := http.StatusServiceUnavailable
	var why Rejection
	switch {
	case err == nil:
		w.WriteHeader(http.StatusAccepted)
		return
	case errors.Is(err, ErrOverloaded):
		status = http.StatusTooManyRequests
	case errors.As(err, &why):
		status = map[Rejection]int{Malformed: http.StatusBadRequest, Oversized: http.StatusRequestEntityTooLarge, Unauthorized: http.StatusUnauthorized}[why]
		if status == 0 {
			status = http.StatusForbidden
		}
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	w.WriteHeader(status)
}

// DrillReport is the answer to a drill.
type DrillReport struct {
	Incident int64      `json:"incident"`
	Sinks    []DrillWay `json:"sinks"`
}

// DrillWay is one sink's part.
type DrillWay struct {
	Sink      string        `json:"sink"`
	Delivered bool          `json:"delivered"`
	After     time.Duration `json:"after,omitempty"` // nanoseconds, from stored to taken
	Attempts  int           `json:"attempts"`
	Error     string        `json:"error,omitempty"`
}

// postDrill tells whoever sent a drill what became of it: the line is the
// proof that it was he.
func (c *Collector) postDrill(w http.ResponseWriter, r *http.Request) {
	body, ok := c.read(w, r, store.ChannelHTTPS, alert.MaxMessage)
	if !ok {
		return
	}
	a, err := c.verifier.Check(body, c.now())
	if err == nil && a.Alarm.Kind != store.KindDrill {
		err = Malformed
	}
	if err != nil {
		c.metrics.reject(store.ChannelHTTPS, err)
		answer(w, err)
		return
	}
	found, err := c.store.Drill(r.Context(), a.Alarm.Build, a.Alarm.Nonce)
	if errors.Is(err, store.ErrNotFound) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	if err != nil {
		answer(w, err)
		return
	}
	report := DrillReport{Sinks: []DrillWay{}}
	for _, d := range found {
		way := DrillWay{Sink: d.Sink, Delivered: !d.Done.IsZero(), Attempts: d.Attempts, Error: d.Error}
		if way.Delivered {
			way.After = d.Done.Sub(d.Queued)
		}
		report.Incident, report.Sinks = d.Incident, append(report.Sinks, way)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(report) // the client may be gone
}

// shipment reads one request of a shipper who has the ingest token.
func (c *Collector) shipment(channel store.Channel, take func(*http.Request, []byte) error) http.HandlerFunc {
	want := sha256.Sum256([]byte(c.options.IngestToken))
	return func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		have := sha256.Sum256([]byte(token)) // equal lengths, so that the comparison tells nothing
		if c.options.IngestToken == "" || subtle.ConstantTimeCompare(want[:], have[:]) != 1 {
			c.metrics.reject(channel, Unauthorized)
			answer(w, Unauthorized)
			return
		}
		body, ok := c.read(w, r, channel, maxShipment)
		if ok {
			answer(w, take(r, body))
		}
	}
}
