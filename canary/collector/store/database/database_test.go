package database

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/hardstand/hardstand/canary/collector/store/storetest"
)

func openAt(t *testing.T, location string) *DB {
	t.Helper()
	db, err := Open(t.Context(), location)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return openAt(t, filepath.Join(t.TempDir(), "collector.db")) })
}

func TestPostgres(t *testing.T) {
	server, err := storetest.StartPostgres(t.Context(), false)
	if errors.Is(err, storetest.ErrNoPostgres) {
		t.Skip(err) // make e2e installs it and runs this
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	storetest.Run(t, func(t *testing.T) store.Store {
		url, err := server.Database(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return openAt(t, url)
	})
}

// TestNewerStore: what a newer collector wrote is refused, not damaged.
func TestNewerStore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "collector.db")
	db := openAt(t, file)
	if _, err := db.write.ExecContext(t.Context(), "INSERT INTO migrations (version) VALUES (99)"); err != nil {
		t.Fatal(err)
	}
	if again, err := Open(t.Context(), file); err == nil || !strings.Contains(err.Error(), "newer collector") {
		if err == nil {
			again.Close() // the test failed already
		}
		t.Errorf("opened: %v", err)
	}
}

// TestPowerLoss cuts the write-ahead log at arbitrary points, as a power loss
// may for what was not yet synchronised. Whatever was acknowledged while the
// log was not longer than the cut must be there, and the file must be sound.
func TestPowerLoss(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "collector.db")
	db := openAt(t, file)
	type mark struct {
		size   int64 // of the log when the commit returned
		nonces []string
	}
	var marks []mark
	for i := range 60 {
		var arrivals []store.Arrival
		var m mark
		for j := range 1 + i%7 {
			a := arrival(fmt.Sprintf("%d-%d", i, j))
			arrivals, m.nonces = append(arrivals, a), append(m.nonces, a.Alarm.Nonce)
		}
		if _, err := db.Commit(t.Context(), arrivals, store.Policy{Now: arrivals[0].Alarm.Received, Sinks: []store.SinkFilter{{Name: "chat"}}}); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(file + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		m.size = info.Size()
		if n := len(marks); n > 0 && m.size < marks[n-1].size {
			t.Fatal("the log was reset; make the test shorter")
		}
		marks = append(marks, m)
	}
	main, log := read(t, file), read(t, file+"-wal")
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 40 {
		cut := random.Int64N(int64(len(log)) + 1)
		if round < len(marks) && round%2 == 0 {
			cut = marks[round].size // exactly at an acknowledgement
		}
		after := log[:cut]
		if round%3 == 0 { // the disk wrote a part of the next page as garbage
			after = append(append([]byte{}, after...), make([]byte, 300)...)
		}
		copied := filepath.Join(dir, fmt.Sprintf("cut%d.db", round))
		write(t, copied, main)
		write(t, copied+"-wal", after)
		survivor := openAt(t, copied)
		var sound string
		if err := survivor.read.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&sound); err != nil || sound != "ok" {
			t.Fatalf("cut at %d: %s %v", cut, sound, err)
		}
		for _, m := range marks {
			if m.size > cut {
				break
			}
			for _, nonce := range m.nonces {
				var alarms, deliveries int
				err := survivor.read.QueryRowContext(t.Context(), `SELECT COUNT(*), (SELECT COUNT(*) FROM deliveries d WHERE d.incident = a.incident)
					FROM alarms a WHERE nonce = $1`, nonce).Scan(&alarms, &deliveries)
				if err != nil || alarms != 1 || deliveries == 0 {
					t.Fatalf("cut at %d of %d: alarm %s, acknowledged at %d: %d alarms, %d deliveries, %v", cut, len(log), nonce, m.size, alarms, deliveries, err)
				}
			}
		}
		if _, err := survivor.Commit(t.Context(), []store.Arrival{arrival("after")}, store.Policy{}); err != nil {
			t.Fatalf("cut at %d: it does not write on: %v", cut, err)
		}
	}
}

var epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func arrival(nonce string) store.Arrival {
	now := epoch
	return store.Arrival{Alarm: store.Alarm{Kind: store.KindDecoy, Channel: store.ChannelHTTPS, Build: "web", Decoy: "ls", Nonce: nonce, Proof: store.ProofKey,
		At: now, Received: now, Event: &alert.Event{Build: "web", Decoy: "ls", Container: nonce, PID: 7, Origin: alert.FromInside}}}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
