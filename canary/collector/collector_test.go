package collector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/outbox"
	"github.com/hardstand/hardstand/canary/collector/register"
	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/hardstand/hardstand/canary/collector/store/database"
)

// clock is set by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// memo is a sink that remembers, and fails while it is broken.
type memo struct {
	name string
	mu   sync.Mutex
	got  []store.Message
	fail error
	came chan struct{}
}

func newMemo(name string) *memo { return &memo{name: name, came: make(chan struct{}, 1000)} }

func (m *memo) Name() string { return m.name }

func (m *memo) Send(_ context.Context, message store.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() { m.came <- struct{}{} }()
	if m.fail != nil {
		return m.fail
	}
	m.got = append(m.got, message)
	return nil
}

func (m *memo) breakIt(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

// next waits for the n-th message.
func (m *memo) next(t *testing.T, n int) store.Message {
	t.Helper()
	for end := time.After(10 * time.Second); ; {
		m.mu.Lock()
		if len(m.got) >= n {
			defer m.mu.Unlock()
			return m.got[n-1]
		}
		m.mu.Unlock()
		select {
		case <-m.came:
		case <-end:
			t.Fatalf("message %d did not come to %s", n, m.name)
		}
	}
}

type bench struct {
	*Collector
	master  alert.Master
	clock   *clock
	sink    *memo
	metrics *prometheus.Registry
	server  *httptest.Server
	db      store.Store
}

func start(t *testing.T, o Options) bench {
	t.Helper()
	b := bench{master: alert.NewMaster(), clock: &clock{now: time.Now()}, sink: newMemo("chat"), metrics: prometheus.NewRegistry()}
	var err error
	if o.Register == nil {
		if o.Register, err = register.Load([]alert.Master{alert.NewMaster(), b.master}); err != nil {
			t.Fatal(err)
		}
	}
	if o.Store == nil {
		if o.Store, err = database.Open(t.Context(), filepath.Join(t.TempDir(), "collector.db")); err != nil {
			t.Fatal(err)
		}
	}
	b.db = o.Store
	if o.Sinks == nil {
		o.Sinks = []outbox.Sink{b.sink}
	}
	o.Registerer, o.Now, o.IngestToken, o.Zone = b.metrics, b.clock.Now, "a token of a shipper", "canary.test"
	if b.Collector, err = New(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	b.server = httptest.NewServer(b.Handler())
	t.Cleanup(func() {
		b.server.Close()
		b.Close()
		if err := b.db.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

var pids atomic.Int64

// line is an alarm as a decoy sends it.
func (b bench) line(build, decoy string, at time.Time) []byte {
	e := alert.Event{Build: build, Decoy: decoy, Time: at.UnixMicro(), PID: int(pids.Add(1)), PPID: 1, Origin: alert.FromInside, Container: strings.Repeat("a", 64), Argv: []string{decoy}}
	copy(e.Nonce[:], mustHex(randomNonce()))
	return b.master.Key(build, decoy).Seal(e, alert.MaxMessage)
}

func mustHex(s string) []byte {
	var n alert.Nonce
	if err := n.UnmarshalText([]byte(s)); err != nil {
		panic(err)
	}
	return n[:]
}

func (b bench) post(t *testing.T, path string, body []byte, header ...string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.server.URL+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func (b bench) incidents(t *testing.T) []store.Incident {
	t.Helper()
	found, err := b.db.ListIncidents(t.Context(), store.IncidentQuery{})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestAlerts is what an HTTP client meets, and what is counted.
func TestAlerts(t *testing.T) {
	b := start(t, Options{})
	good := b.line("web", "ls", b.clock.Now())
	bent := bytes.Clone(good)
	if bent[len(bent)-2]++; bent[len(bent)-2] > 'f' || bent[len(bent)-2] == '9'+1 {
		bent[len(bent)-2] = '0'
	}
	for _, one := range []struct {
		name string
		body []byte
		want int
	}{
		{"genuine", good, 202}, {"retry", good, 202}, {"forged", bent, 403}, {"empty", nil, 400}, {"text", []byte("hello"), 400},
		{"late", b.line("web", "cat", b.clock.Now().Add(-time.Hour)), 202}, {"ahead", b.line("web", "id", b.clock.Now().Add(time.Hour)), 202},
		{"stale", b.line("web", "id", b.clock.Now().Add(-91*day)), 403}, {"long", append(bytes.Repeat([]byte("x"), alert.MaxMessage), good...), 413},
	} {
		if status, text := b.post(t, "/v1/alerts", one.body); status != one.want || text != "" {
			t.Errorf("%s: %d %q, want %d", one.name, status, text, one.want)
		}
	}
	found := b.incidents(t)
	if len(found) != 3 {
		t.Fatalf("%d incidents: %+v", len(found), found)
	}
	want := `
# HELP hardstand_collector_rejected_total Messages that were not taken in.
# TYPE hardstand_collector_rejected_total counter
hardstand_collector_rejected_total{channel="https",reason="forged"} 1
hardstand_collector_rejected_total{channel="https",reason="malformed"} 2
hardstand_collector_rejected_total{channel="https",reason="oversized"} 1
hardstand_collector_rejected_total{channel="https",reason="stale"} 1
# HELP hardstand_collector_duplicates_total Alarms that were known already: retries, other channels, replays.
# TYPE hardstand_collector_duplicates_total counter
hardstand_collector_duplicates_total 1
# HELP hardstand_collector_late_total Authentic alarms whose clock was outside the window.
# TYPE hardstand_collector_late_total counter
hardstand_collector_late_total 2
`
	if err := testutil.GatherAndCompare(b.metrics, strings.NewReader(want), "hardstand_collector_rejected_total", "hardstand_collector_duplicates_total", "hardstand_collector_late_total"); err != nil {
		t.Error(err)
	}
	timing := map[string]store.Timing{}
	for _, one := range found {
		alarms, err := b.db.Alarms(t.Context(), one.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		timing[one.Decoy] = alarms[0].Timing
	}
	if timing["ls"] != store.OnTime || timing["cat"] != store.Late || timing["id"] != store.Ahead {
		t.Errorf("timing: %v", timing)
	}
	for n := 1; n <= 3; n++ {
		b.sink.next(t, n)
	}
	if response, err := http.Get(b.server.URL + "/readyz"); err != nil || response.StatusCode != 200 {
		t.Errorf("ready: %v %v", response, err)
	}
}

// TestOverload fills the queue while the store is busy: what does not fit gets
// 429 with Retry-After, and nothing that was acknowledged is missing.
func TestOverload(t *testing.T) {
	gate := &gated{open: make(chan struct{})}
	file, err := database.Open(t.Context(), filepath.Join(t.TempDir(), "collector.db"))
	if err != nil {
		t.Fatal(err)
	}
	gate.Store = file
	b := start(t, Options{Store: gate, Share: -1})
	const senders = waiting + batchSize + 200
	statuses := make([]int, senders)
	var wg sync.WaitGroup
	full := make(chan struct{})
	var once sync.Once
	for i := range senders {
		wg.Go(func() {
			_, err := b.Alarm(context.WithoutCancel(t.Context()), b.line("web", fmt.Sprintf("d%d", i%10), b.clock.Now()), store.ChannelHTTPS, "test")
			switch {
			case err == nil:
				statuses[i] = 202
			case errors.Is(err, ErrOverloaded):
				statuses[i] = 429
				once.Do(func() { close(full) })
			}
		})
	}
	<-full
	if status, _ := b.post(t, "/v1/alerts", b.line("web", "x", b.clock.Now())); status != 429 {
		t.Errorf("status while full: %d", status)
	}
	close(gate.open)
	wg.Wait()
	accepted := int64(0)
	for i, s := range statuses {
		switch s {
		case 202:
			accepted++
		case 429:
		default:
			t.Fatalf("sender %d: %d", i, s)
		}
	}
	var stored int64
	for _, one := range b.incidents(t) {
		stored += one.Count
	}
	if stored != accepted || accepted == senders || accepted < waiting {
		t.Errorf("%d stored, %d acknowledged of %d", stored, accepted, senders)
	}
}

// gated holds commits back until it is opened.
type gated struct {
	store.Store
	open chan struct{}
}

func (g *gated) Commit(ctx context.Context, a []store.Arrival, p store.Policy) ([]store.Outcome, error) {
	<-g.open
	return g.Store.Commit(ctx, a, p)
}

// TestPoison: an arrival that the database refuses does not cost its
// neighbours.
func TestPoison(t *testing.T) {
	file, err := database.Open(t.Context(), filepath.Join(t.TempDir(), "collector.db"))
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, Options{Store: poisoned{file}})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			name := fmt.Sprintf("d%d", i)
			if i == 7 {
				name = "poison"
			}
			_, err := b.Alarm(context.WithoutCancel(t.Context()), b.line("web", name, b.clock.Now()), store.ChannelHTTPS, "test")
			if (err != nil) != (i == 7) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	wg.Wait()
	if found := b.incidents(t); len(found) != 49 {
		t.Errorf("%d incidents", len(found))
	}
}

type poisoned struct{ store.Store }

func (p poisoned) Commit(ctx context.Context, a []store.Arrival, policy store.Policy) ([]store.Outcome, error) {
	for _, one := range a {
		if one.Alarm.Decoy == "poison" {
			return nil, errors.New("no")
		}
	}
	return p.Store.Commit(ctx, a, policy)
}

// TestShare: one image floods; others are heard, and the rest is counted.
func TestShare(t *testing.T) {
	b := start(t, Options{Share: 1, Burst: 5})
	for range 20 {
		if _, err := b.Alarm(t.Context(), b.line("flood", "ls", b.clock.Now()), store.ChannelHTTPS, "test"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Alarm(t.Context(), b.line("quiet", "ls", b.clock.Now()), store.ChannelHTTPS, "test"); err != nil {
		t.Fatal(err)
	}
	for _, one := range b.incidents(t) {
		alarms, err := b.db.Alarms(t.Context(), one.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		if one.Build == "flood" && (one.Overflow != 15 || len(alarms) != 5) || one.Build == "quiet" && one.Overflow != 0 {
			t.Errorf("%s: count %d, overflow %d, %d kept", one.Build, one.Count, one.Overflow, len(alarms))
		}
	}
}

// TestDead: a guard falls silent, and speaks again.
func TestDead(t *testing.T) {
	b := start(t, Options{})
	beat := func() {
		e := alert.Event{Build: "web", Decoy: alert.Guard, Kind: alert.KindHeartbeat, Time: b.clock.Now().UnixMicro()}
		copy(e.Nonce[:], mustHex(randomNonce()))
		if status, _ := b.post(t, "/v1/alerts", b.master.Key("web", alert.Guard).Seal(e, 0)); status != 202 {
			t.Fatalf("heartbeat: %d", status)
		}
	}
	look := func() {
		if err := b.Look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	beat()
	look()
	b.clock.pass(14 * time.Minute)
	look()
	if found := b.incidents(t); len(found) != 0 {
		t.Fatalf("too early: %+v", found)
	}
	b.clock.pass(2 * time.Minute)
	look()
	look()
	found := b.incidents(t)
	if len(found) != 1 || found[0].Kind != store.KindDead || found[0].Count != 1 || found[0].State != store.Open {
		t.Fatalf("after a quarter of an hour: %+v", found)
	}
	if m := b.sink.next(t, 1); m.Incident.Kind != store.KindDead {
		t.Errorf("message: %+v", m)
	}
	beat()
	look()
	if found := b.incidents(t); found[0].State != store.Resolved {
		t.Errorf("after a heartbeat: %+v", found)
	}
	if m := b.sink.next(t, 2); m.Reason != store.ReasonResolved {
		t.Errorf("message: %+v", m)
	}
	old := alert.Event{Build: "web", Decoy: alert.Guard, Kind: alert.KindHeartbeat, Time: b.clock.Now().Add(-time.Hour).UnixMicro(), Nonce: alert.Nonce{1}}
	if status, _ := b.post(t, "/v1/alerts", b.master.Key("web", alert.Guard).Seal(old, 0)); status != 403 {
		t.Errorf("an old heartbeat: %d", status)
	}
}

// TestSinkDown: one sink fails, the other hears of it, and nothing is given
// up.
func TestSinkDown(t *testing.T) {
	other := newMemo("pager")
	bad := newMemo("chat")
	bad.breakIt(errors.New("no route to host"))
	b := start(t, Options{Sinks: []outbox.Sink{bad, other}, SinkDown: time.Second})
	if _, err := b.Alarm(t.Context(), b.line("web", "ls", b.clock.Now()), store.ChannelHTTPS, "test"); err != nil {
		t.Fatal(err)
	}
	other.next(t, 1)
	waitFor(t, func() bool {
		b.clock.pass(10 * time.Minute) // beyond every backoff
		s, err := b.db.Sinks(t.Context(), b.clock.Now())
		return err == nil && s[0].Failures >= downAfter
	})
	if err := b.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m := other.next(t, 2); m.Incident.Kind != store.KindSinkDown || m.Incident.Decoy != "chat" {
		t.Errorf("message: %+v", m)
	}
	bad.breakIt(nil)
	waitFor(t, func() bool {
		b.clock.pass(10 * time.Minute)
		s, err := b.db.Sinks(t.Context(), b.clock.Now())
		return err == nil && s[0].Failures == 0 && s[0].Pending == 0
	})
	if err := b.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m := other.next(t, 3); m.Reason != store.ReasonResolved {
		t.Errorf("message: %+v", m)
	}
}

func waitFor(t *testing.T, f func() bool) {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); !f(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not happen")
		}
	}
}

// TestDrill goes the whole way.
func TestDrill(t *testing.T) {
	b := start(t, Options{})
	line := b.master.Drill("web", "ls", b.clock.Now())
	if status, _ := b.post(t, "/v1/drills", line); status != 404 {
		t.Errorf("before it was sent: %d", status)
	}
	if status, _ := b.post(t, "/v1/alerts", line); status != 202 {
		t.Fatalf("drill: %d", status)
	}
	if m := b.sink.next(t, 1); m.Incident.Kind != store.KindDrill {
		t.Errorf("message: %+v", m)
	}
	waitFor(t, func() bool {
		status, text := b.post(t, "/v1/drills", line)
		var r DrillReport
		return status == 200 && json.Unmarshal([]byte(text), &r) == nil && len(r.Sinks) == 1 && r.Sinks[0].Delivered && r.Sinks[0].Sink == "chat"
	})
	if status, _ := b.post(t, "/v1/drills", b.line("web", "ls", b.clock.Now())); status != 400 {
		t.Errorf("an alarm that is no drill: %d", status)
	}
	if status, _ := b.post(t, "/v1/drills", []byte(strings.Replace(string(line), "web", "wet", 1))); status != 403 {
		t.Errorf("forged: %d", status)
	}
}
