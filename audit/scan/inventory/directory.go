package inventory

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// FromDirectory lists a directory: an unpacked image or host, or a source tree
// with go.mod files. Links are not followed out of it.
func FromDirectory(ctx context.Context, dir string, o Options) (*Inventory, error) {
	v, err := fromDirectory(ctx, dir, o)
	if err != nil {
		return nil, fmt.Errorf("list packages of %s: %w", dir, err)
	}
	return v, nil
}

func fromDirectory(ctx context.Context, dir string, o Options) (*Inventory, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // opened for reading
	inv := &Inventory{Target: dir, Kind: "directory"}
	r := newRootfs(inv, o)
	if _, err := root.Stat("etc"); errors.Is(err, fs.ErrNotExist) {
		r.modules = true // a source tree, not a system
	}
	count := 0
	err = fs.WalkDir(root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			inv.problem("%v", err)
			return skip(e)
		case ctx.Err() != nil:
			return ctx.Err()
		case e.IsDir() && pseudo(dir, name, r.modules):
			return fs.SkipDir
		case r.wanted(name) && e.Type()&fs.ModeSymlink != 0: // os-release is a link as a rule
		case !e.Type().IsRegular():
			return nil
		}
		if count++; count > MaxEntries {
			return fmt.Errorf("more than %d files", MaxEntries)
		}
		return one(r, root, name)
	})
	if err != nil {
		return nil, err
	}
	return inv, r.close()
}

func skip(e fs.DirEntry) error {
	if e != nil && e.IsDir() {
		return fs.SkipDir
	}
	return nil
}

// pseudo reports directories that are no part of a system's files, and the
// vendored and test trees of a source.
func pseudo(dir, name string, source bool) bool {
	if source {
		base := filepath.Base(name)
		return base == ".git" || base == "testdata" || base == "node_modules"
	}
	return filepath.Clean(dir) == "/" && (name == "proc" || name == "sys" || name == "dev" || name == "run")
}

func one(r *rootfs, root *os.Root, name string) error {
	info, err := root.Stat(filepath.FromSlash(name))
	if err != nil {
		if !slices.Contains(releaseFiles, name) { // one of the two is a link to the other
			r.inv.problem("%v", err)
		}
		return nil
	}
	if !info.Mode().IsRegular() {
		return nil
	}
	f, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		r.inv.problem("%v", err)
		return nil
	}
	defer f.Close() //nolint:errcheck // opened for reading
	if err := r.file(name, "", info.Size(), f); err != nil {
		r.inv.problem("%v", err)
	}
	return nil
}

// FromProgram lists one Go program.
func FromProgram(file string, o Options) (*Inventory, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	defer f.Close() //nolint:errcheck // opened for reading
	info, ok, err := program(f)
	if err != nil {
		return nil, fmt.Errorf("list packages of %s: %w", file, err)
	}
	if !ok {
		return nil, fmt.Errorf("list packages of %s: it is no Go program, so nothing is known of what is in it: scan its SBOM", file)
	}
	inv := &Inventory{Target: file, Kind: "program"}
	inv.addProgram(info, f, "", strings.TrimPrefix(filepath.ToSlash(file), "./"))
	if o.Keep != nil {
		data, err := limited(f, MaxProgram)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", file, err)
		}
		if err := o.Keep(inv.Programs[0].Path, data); err != nil {
			return nil, err
		}
	}
	return inv, inv.finish()
}

// FromModule lists one go.mod file.
func FromModule(file string) (*Inventory, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	inv := &Inventory{Target: file, Kind: "directory"}
	if err := inv.addModule(data, file); err != nil {
		return nil, err
	}
	inv.Module = modfile.ModulePath(data)
	return inv, inv.finish()
}
