package collector

import (
	"context"
	"fmt"
	"hash/maphash"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector"
	"github.com/hardstand/hardstand/canary/collector/listen"
	"github.com/hardstand/hardstand/canary/collector/register"
)

// reloadEvery is how soon files that came, changed or went are noticed; SIGHUP
// makes the collector look at once.
const reloadEvery = 5 * time.Second

// registers are read again while the collector runs.
type registers struct {
	masters   []alert.Master
	paths     []string
	collector *collector.Collector
	book      *listen.Book
	log       *slog.Logger
	stamp     uint64 // of the files as last looked at
	builds    int
}

// follow reads the registers again whenever they change, until ctx ends.
func (r *registers) follow(ctx context.Context) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
			r.log.Info("asked to reload")
			r.stamp = 0
		case <-tick.C:
		}
		r.look(ctx)
	}
}

// look reloads if something changed. While the files cannot be read, what was
// read before holds.
func (r *registers) look(ctx context.Context) {
	stamp := stampOf(r.paths)
	if stamp == r.stamp {
		return
	}
	if err := r.reload(ctx); err != nil {
		if ctx.Err() == nil {
			r.log.Error("registers were not reloaded; what was read before holds", "error", err)
		}
	}
	r.stamp = stamp // the same broken files are not complained of again
}

func (r *registers) reload(ctx context.Context) error {
	known, err := register.Load(r.masters, r.paths...)
	if err != nil {
		return err
	}
	found := len(known.Canaries())
	if found == 0 && r.builds > 0 {
		// A volume that is not mounted looks like this.
		return fmt.Errorf("no register is left of %d; start again if that is meant", r.builds)
	}
	if err := r.collector.Reload(ctx, known); err != nil {
		return err
	}
	fill(r.book, known)
	r.builds = found
	return nil
}

// stampOf changes when a file comes, goes or changes. It is never 0.
func stampOf(paths []string) uint64 {
	var h maphash.Hash
	h.SetSeed(stampSeed)
	for _, path := range paths {
		_ = filepath.WalkDir(path, func(file string, d fs.DirEntry, err error) error { // what cannot be read is part of the stamp
			if err != nil {
				fmt.Fprintf(&h, "%s %v\n", file, err)
				return nil
			}
			if info, err := os.Stat(file); err == nil && !info.IsDir() { // follows the links by which Kubernetes swaps files
				fmt.Fprintf(&h, "%s %d %d %v\n", file, info.Size(), info.ModTime().UnixNano(), inode(info))
			}
			return nil
		})
	}
	return h.Sum64() | 1
}

var stampSeed = maphash.MakeSeed()

func inode(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return s.Ino
	}
	return 0
}
