package registry

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
)

const (
	maxLedger     = 256 << 20 // bytes
	maxLedgerLine = 64 << 10  // bytes of one entry
)

// Ledger is a file that remembers which tag was published as what, one JSON
// object a line, only ever appended to. It serves two ends: processes of one
// machine take turns at setting tags, and a tag that somebody else changed is
// noticed. A nil *Ledger remembers nothing.
type Ledger struct {
	path string
}

// Entry is one line of a ledger.
type Entry struct {
	Time   time.Time `json:"time"`
	Tag    string    `json:"tag"`
	Digest v1.Hash   `json:"digest"`
}

// OpenLedger uses the file, which need not exist yet.
func OpenLedger(path string) *Ledger {
	return &Ledger{path: path}
}

// Entries reads the whole ledger, oldest first. A line cut short by a crash at
// the very end is left out; anything else that does not parse is an error.
func (l *Ledger) Entries() ([]Entry, error) {
	if l == nil {
		return nil, nil
	}
	f, err := os.Open(l.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	defer func() { _ = f.Close() }()
	entries, err := parseLedger(f)
	if err != nil {
		return nil, fmt.Errorf("read ledger %s: %w", l.path, err)
	}
	return entries, nil
}

func parseLedger(r io.Reader) ([]Entry, error) {
	in := bufio.NewReaderSize(io.LimitReader(r, maxLedger), maxLedgerLine)
	var entries []Entry
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		entries = append(entries, e)
	}
}

// published returns the newest digest published under a tag.
func (l *Ledger) published(tag name.Tag) (digest v1.Hash, ok bool, err error) {
	entries, err := l.Entries()
	for _, e := range entries {
		if e.Tag == tag.Name() {
			digest, ok = e.Digest, true
		}
	}
	return digest, ok, err
}

// during runs set while no other process with this ledger sets a tag, and
// records the digest if it succeeds.
func (l *Ledger) during(tag name.Tag, digest v1.Hash, move bool, set func() error) (err error) {
	if l == nil {
		return set()
	}
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock ledger %s: %w", l.path, err)
	}
	wrote, ok, err := l.published(tag)
	if err != nil {
		return err
	}
	if ok && wrote != digest && !move {
		return &TagExistsError{Tag: tag, Existing: wrote, Wanted: digest, Ledger: true}
	}
	if err := set(); err != nil {
		return err
	}
	if ok && wrote == digest {
		return nil
	}
	return l.record(f, Entry{Time: time.Now().UTC(), Tag: tag.Name(), Digest: digest})
}

func (l *Ledger) record(f *os.File, e Entry) error {
	if err := endLine(f); err != nil {
		return fmt.Errorf("write ledger %s: %w", l.path, err)
	}
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write ledger %s: %w", l.path, err)
	}
	if _, err := f.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write ledger %s: %w", l.path, err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("write ledger %s: %w", l.path, err)
	}
	return nil
}

// endLine cuts off what a crash left of an unfinished line.
func endLine(f *os.File) error {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return err
	}
	last := make([]byte, min(size, maxLedgerLine))
	if _, err := f.ReadAt(last, size-int64(len(last))); err != nil {
		return err
	}
	for i := len(last) - 1; i >= 0; i-- {
		if last[i] == '\n' {
			return f.Truncate(size - int64(len(last)) + int64(i) + 1)
		}
	}
	return f.Truncate(size - int64(len(last)))
}
