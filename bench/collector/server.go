package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver
	_ "modernc.org/sqlite"             // registers the driver

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store/storetest"
)

// field is where a run happens: secret, configuration, store and sinks.
type field struct {
	dir      string
	master   alert.Master
	postgres *storetest.Postgres
	location string
	sinks    []*hook
}

// hook is a webhook that remembers the ids of its messages, and refuses every
// tenth request.
type hook struct {
	name   string
	server *httptest.Server
	mu     sync.Mutex
	calls  int
	ids    map[string]int // how often each message came
}

func newField(ctx context.Context, postgres bool, sinks int) (*field, error) {
	dir, err := os.MkdirTemp("", "hardstand-bench-")
	if err != nil {
		return nil, err
	}
	f := &field{dir: dir, master: alert.NewMaster(), location: filepath.Join(dir, "collector.db")}
	if postgres {
		if f.postgres, err = storetest.StartPostgres(ctx, true); err != nil {
			return nil, errors.Join(err, f.close())
		}
		if f.location, err = f.postgres.Database(ctx); err != nil {
			return nil, errors.Join(err, f.close())
		}
	}
	config := "allow-networks: [127.0.0.0/8]\nsinks:\n"
	for i := range sinks {
		h := newHook(fmt.Sprintf("hook%d", i))
		f.sinks = append(f.sinks, h)
		config += fmt.Sprintf("- {type: webhook, name: %s, url: {file: %q}, keys: [{file: %q}]}\n", h.name, filepath.Join(dir, h.name), filepath.Join(dir, "hook.secret"))
		if err := os.WriteFile(filepath.Join(dir, h.name), []byte(h.server.URL), 0o600); err != nil {
			return nil, errors.Join(err, f.close())
		}
	}
	key, err := f.master.MarshalText()
	if err != nil {
		return nil, err
	}
	for name, text := range map[string][]byte{"canary.key": key, "config.yaml": []byte(config), "hook.secret": []byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return nil, errors.Join(err, f.close())
		}
	}
	return f, nil
}

func newHook(name string) *hook {
	h := &hook{name: name, ids: map[string]int{}}
	h.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, 1<<20)); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.calls++; h.calls%10 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		h.ids[r.Header.Get("Webhook-Id")]++
		w.WriteHeader(http.StatusNoContent)
	}))
	return h
}

func (f *field) close() error {
	for _, h := range f.sinks {
		h.server.Close()
	}
	var err error
	if f.postgres != nil {
		err = f.postgres.Stop()
	}
	return errors.Join(err, os.RemoveAll(f.dir))
}

// server is a running collector.
type server struct {
	address string
	cmd     *exec.Cmd
	log     bytes.Buffer
}

// start runs the program on a free port, or on the given one.
func (f *field) start(ctx context.Context, bin, address string) (*server, error) {
	if address == "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		address = l.Addr().String()
		l.Close() // only its number was wanted
	}
	s := &server{address: address}
	s.cmd = exec.Command(bin, "canary", "collector", "--plain-http", "--listen", address, "--metrics", "", "--key", filepath.Join(f.dir, "canary.key"),
		"--register", f.dir+"/config.d", "--config", filepath.Join(f.dir, "config.yaml"), "--database", f.location, "--share", "-1")
	s.cmd.Stderr = &s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := os.MkdirAll(f.dir+"/config.d", 0o700); err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end) && ctx.Err() == nil; time.Sleep(10 * time.Millisecond) {
		response, err := http.Get("http://" + address + "/livez")
		if err == nil {
			return s, response.Body.Close()
		}
		if s.cmd.ProcessState != nil {
			break
		}
	}
	s.kill()
	return nil, fmt.Errorf("collector did not start: %s", s.log.String())
}

func (s *server) kill() {
	_ = s.cmd.Process.Kill() // it may have ended
	_ = s.cmd.Wait()         // killed
}

// open opens the store's tables for reading.
func (f *field) open() (*sql.DB, error) {
	if f.postgres != nil {
		return sql.Open("pgx", f.location)
	}
	return sql.Open("sqlite", "file:"+f.location+"?mode=ro")
}

// nonces reads which alarms are in the store.
func (f *field) nonces(ctx context.Context) (map[alert.Nonce]bool, error) {
	db, err := f.open()
	if err != nil {
		return nil, err
	}
	defer db.Close() // only read
	rows, err := db.QueryContext(ctx, "SELECT nonce FROM alarms WHERE kind = 'decoy'")
	if err != nil {
		return nil, err
	}
	defer rows.Close() // Err is asked below
	found := map[alert.Nonce]bool{}
	for rows.Next() {
		var text string
		var n alert.Nonce
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		if err := n.UnmarshalText([]byte(text)); err != nil {
			return nil, err
		}
		if found[n] {
			return nil, fmt.Errorf("nonce %s is stored twice", text)
		}
		found[n] = true
	}
	return found, rows.Err()
}
