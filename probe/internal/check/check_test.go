package check

import (
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/probe/internal/machine"
	"github.com/hardstand/hardstand/probe/internal/wire"
)

const second = int64(time.Second)

func newState() *State { return &State{Buffers: new(Buffers)} }

// to makes a check of a target.
func to(t *testing.T, target string) *Check {
	t.Helper()
	c := new(Check)
	if why := c.SetTarget(target, 8080); why != "" {
		t.Fatalf("target %s %s", target, why)
	}
	return c
}

// servers starts an HTTP and a gRPC server.
func servers(t *testing.T) (web, calls string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("hello")) }))
	t.Cleanup(s.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(g, health.NewServer())
	go g.Serve(l)
	t.Cleanup(g.Stop)
	return s.URL + "/", "grpc://" + l.Addr().String()
}

// TestTogether runs many checks at the same time, each in its own State.
func TestTogether(t *testing.T) {
	web, calls := servers(t)
	var group sync.WaitGroup
	for _, target := range []string{web, calls, web, calls, "tcp" + strings.TrimPrefix(calls, "grpc")} {
		c := to(t, target)
		group.Go(func() {
			s := newState()
			for range 20 {
				if s.Run(c, 5*second) != Healthy {
					t.Errorf("%s: %s", target, s.Message())
				}
			}
		})
	}
	group.Wait()
}

// TestNoAllocations keeps checks usable where there is no heap.
func TestNoAllocations(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only the checks of Linux do without a heap")
	}
	web, calls := servers(t)
	s := newState()
	for _, target := range []string{web, calls, "tcp://127.0.0.1:1", "file:///etc/passwd"} {
		c := to(t, target)
		c.JSONPath = "a"
		allocs := testing.AllocsPerRun(20, func() { s.Run(c, 5*second) })
		// The servers run in this process and do allocate, so compare with a
		// bound that a probe with a heap would exceed by a lot on its own.
		if strings.HasPrefix(target, "tcp") || strings.HasPrefix(target, "file") {
			if allocs != 0 {
				t.Errorf("%s allocates %v times", target, allocs)
			}
		}
	}
}

// TestMark reads marks as the decoys write them.
func TestMark(t *testing.T) {
	now := time.Date(2026, 7, 4, 5, 6, 0, 0, time.UTC)
	for _, name := range []string{"sh", "a", "kubectl9", "wget", "a-b", "0", "python3-long"} {
		mark := alert.Mark(name, now)
		want, at, ok := alert.ParseMark(mark)
		if !ok {
			t.Fatalf("mark of %s is none", name)
		}
		w := wire.NewBuffer(make([]byte, 100))
		putName(&w, mark&nameMask)
		w.Byte(' ')
		putMinute(&w, markMinute(mark, now.Unix()/60))
		if got := string(w.Bytes()); got != want+" "+at.Format("2006-01-02T15:04Z") {
			t.Errorf("mark of %s reads %s, want %s at %v", name, got, want, at)
		}
	}
}

// TestMarkWraps reads a mark set after the counter of minutes has started anew.
func TestMarkWraps(t *testing.T) {
	now := time.Date(2031, 3, 1, 12, 0, 0, 0, time.UTC)
	minute := markMinute(alert.Mark("sh", now.Add(-time.Hour)), now.Unix()/60)
	if got := time.Unix(minute*60, 0).UTC(); !got.Equal(now.Add(-time.Hour)) {
		t.Errorf("read as %v", got)
	}
}

func TestDates(t *testing.T) {
	for day := time.Date(1999, 12, 30, 23, 59, 0, 0, time.UTC); day.Year() < 2101; day = day.Add(37*24*time.Hour + 61*time.Minute) {
		w := wire.NewBuffer(make([]byte, 100))
		putMinute(&w, day.Unix()/60)
		if want := day.Format("2006-01-02T15:04Z"); string(w.Bytes()) != want {
			t.Fatalf("wrote %s, want %s", w.Bytes(), want)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]int64{
		"500ms": 500e6, "2s": 2e9, "1m30s": 90e9, "1.5s": 1.5e9, "0.25s": 250e6, "24h": 86400e9, "10us": 10e3,
		"": 0, "5": 0, "s": 0, ".s": 0, "1.2.3s": 0, "-1s": 0, "25h": 0, "24h1s": 0, "99999999999s": 0, "1d": 0, "1.0000000001s": 0,
	} {
		got, ok := ParseDuration(text)
		if ok != (want != 0) || ok && got != want {
			t.Errorf("%q is %d, %v; want %d", text, got, ok, want)
		}
	}
	for ns, want := range map[int64]string{0: "0ms", 250e3: "0.25ms", 1e6: "1ms", 300e6 + 500e3: "300.5ms", 1e9: "1s", 1050e6: "1.05s", 90e9: "90s"} {
		w := wire.NewBuffer(make([]byte, 100))
		PutDuration(&w, ns)
		if string(w.Bytes()) != want {
			t.Errorf("%d ns reads %s, want %s", ns, w.Bytes(), want)
		}
	}
}

// TestOwnAddresses asks for addresses of this machine and others.
func TestOwnAddresses(t *testing.T) {
	s := newState()
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	list := map[string]bool{"8.8.8.8": false, "192.0.2.1": false, "2001:db8::1": false, "255.255.255.255": false, "224.0.0.1": false, "0.0.0.0": false}
	for _, a := range own {
		if ip := a.(*net.IPNet).IP; !ip.IsLinkLocalUnicast() {
			list[ip.String()] = true
		}
	}
	for text, want := range list {
		var a machine.Addr
		var ok bool
		if a.IP, _, ok = literal(text, &a.Family); !ok {
			t.Fatalf("%s is no address", text)
		}
		a.Port = 80
		if got := loopback(&a) || s.IsOwn(&a); got != want {
			t.Errorf("%s is own: %v, want %v", text, got, want)
		}
	}
}

func FuzzTarget(f *testing.F) {
	for _, s := range []string{"8080", ":80/x", "http://a:1/", "unix:///a.sock/x", "grpc://[::1]:2/s", "file:///x?max-age=3s&line=ok", "fcgi://:9/ping?x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var c Check
		if c.SetTarget(text, 8080) != "" {
			return
		}
		if strings.ContainsAny(c.Path+c.Host+c.Socket, "\r\n \x00") || len(c.Socket) > machine.MaxSocketPath {
			t.Fatalf("%q leads to %q %q %q", text, c.Host, c.Socket, c.Path)
		}
		w := wire.NewBuffer(make([]byte, 10000))
		c.PutTarget(&w)
	})
}
