// Package atomicfile writes files wholly or not at all: whoever sees the name
// sees all of it. The bytes go to a temporary file in the same directory that
// is then renamed or linked into place. It must not decide where files go.
package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// TempPrefix begins the name of every temporary file.
const TempPrefix = ".hardstand-"

// Replace writes a file, making its directory if need be. A symlink is
// followed; a target that is no regular file is refused, because a rename
// would put a file where a device or a pipe was.
func Replace(file string, mode fs.FileMode, write func(*os.File) error) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target
	}
	if info, err := os.Lstat(file); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", file)
	}
	tmp, err := beside(file, mode, write)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, file); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return nil
}

// ReplaceBytes is Replace for data in memory. The data is on the disk when it
// returns.
func ReplaceBytes(file string, data []byte, mode fs.FileMode) error {
	return Replace(file, mode, synced(data))
}

// Update writes data that can be made again, unless the file has it already:
// replacing a file makes the file system write it to the disk at once.
func Update(file string, data []byte, mode fs.FileMode) error {
	if info, err := os.Lstat(file); err == nil && info.Mode().IsRegular() && info.Size() == int64(len(data)) {
		if old, err := os.ReadFile(file); err == nil && bytes.Equal(old, data) {
			return nil
		}
	}
	return Replace(file, mode, Copy(bytes.NewReader(data)))
}

// Create writes a file that must not exist yet; otherwise the error wraps
// fs.ErrExist.
func Create(file string, data []byte, mode fs.FileMode) error {
	tmp, err := beside(file, mode, synced(data))
	if err != nil {
		return err
	}
	return errors.Join(os.Link(tmp, file), os.Remove(tmp))
}

// Keep returns what a file holds, or makes it of the given data, readable by
// its owner only. Of several processes that do so at once, all get the same.
func Keep(file string, data []byte) ([]byte, error) {
	kept, err := os.ReadFile(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return kept, err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	if err := Create(file, data, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(file)
}

func synced(data []byte) func(*os.File) error {
	return func(f *os.File) error {
		if _, err := f.Write(data); err != nil {
			return err
		}
		return f.Sync()
	}
}

// beside writes a temporary file in the directory of another.
func beside(file string, mode fs.FileMode, write func(*os.File) error) (string, error) {
	tmp := filepath.Join(filepath.Dir(file), fmt.Sprintf("%s%016x", TempPrefix, rand.Uint64()))
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return "", err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(tmp))
	}
	return tmp, nil
}

// Copy returns what Replace needs to write a stream.
func Copy(r io.Reader) func(*os.File) error {
	return func(f *os.File) error {
		_, err := f.ReadFrom(r) // lets the kernel copy from file to file
		return err
	}
}
