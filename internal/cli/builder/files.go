package builder

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// writeNew writes a file that must not exist yet, wholly or not at all: whoever
// sees the name sees all of it.
func writeNew(file string, data []byte, mode fs.FileMode) error {
	tmp, err := writeBeside(file, data, mode)
	if err != nil {
		return err
	}
	return errors.Join(os.Link(tmp, file), os.Remove(tmp))
}

// writeFile replaces a file, wholly or not at all. A symlink is followed; what
// is no regular file, such as a device, is refused.
func writeFile(file string, data []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target
	}
	if info, err := os.Lstat(file); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", file)
	}
	tmp, err := writeBeside(file, data, mode)
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, file); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return nil
}

// writeBeside writes a temporary file in the directory of another.
func writeBeside(file string, data []byte, mode fs.FileMode) (string, error) {
	tmp := filepath.Join(filepath.Dir(file), fmt.Sprintf(".hardstand-%016x", rand.Uint64()))
	w, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return "", err
	}
	_, err = w.Write(data)
	if err = errors.Join(err, w.Sync(), w.Close()); err != nil {
		return "", errors.Join(err, os.Remove(tmp))
	}
	return tmp, nil
}

// keepFile returns what a file holds, or makes it of the given data. Of several
// processes that do so at once, all get the same.
func keepFile(file string, data []byte) ([]byte, error) {
	kept, err := os.ReadFile(file)
	if !errors.Is(err, fs.ErrNotExist) {
		return kept, err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	if err := writeNew(file, data, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return os.ReadFile(file)
}
