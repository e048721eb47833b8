package secret

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// FileOptions are the settings of File.
type FileOptions struct {
	// KeepNewline keeps a line end at the end of the file, which is otherwise
	// dropped.
	KeepNewline bool
	// WorldReadable accepts a file that every user of the machine can read. It
	// is not needed for files that were mounted for the program; see File.
	WorldReadable bool
}

// File reads a secret from a file. It must belong to root or to the user of the
// program, and must not be writable by others, nor readable by all; links are
// followed. Owner and readability do not matter for what an engine has mounted
// for this program: a file that is a mount of its own (Docker, Compose), or one
// on a file system in memory that is mounted at a place of its own (Kubernetes).
func File(path string, o FileOptions) Source { return file{path, o} }

type file struct {
	path string
	o    FileOptions
}

func (f file) String() string { return "file " + f.path }

func (f file) Get(context.Context) ([]byte, error) {
	h, err := openPlain(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = h.Close() }() // opened to read
	if err := f.judge(h); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(h, maxSecret+1))
	if err != nil {
		return nil, err
	}
	return clean(b, f.o.KeepNewline)
}

// judge looks at the open file, not at the path, which may change meanwhile.
func (f file) judge(h *os.File) error {
	info, err := h.Stat()
	if err != nil {
		return err
	}
	mode := info.Mode()
	switch {
	case !mode.IsRegular():
		return errors.New("not a regular file")
	case mode.Perm()&0o022 != 0:
		return fmt.Errorf("mode %04o lets others write it: use chmod go-w", mode.Perm())
	case delivered(h):
		return nil
	case mode.Perm()&0o004 != 0 && !f.o.WorldReadable:
		return fmt.Errorf("mode %04o lets everybody read it: use chmod o-r, or FileOptions.WorldReadable", mode.Perm())
	}
	return trustedOwner(info)
}
