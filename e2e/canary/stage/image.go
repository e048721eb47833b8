package stage

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/hardstand/hardstand/canary/decoy"
)

// Import makes an image of files, with a merged /usr and empty /proc and /tmp.
func (d *Docker) Import(ctx context.Context, tag string, files []decoy.File, changes ...string) error {
	archive, err := Tar(files)
	if err != nil {
		return err
	}
	args := []string{"import"}
	for _, change := range changes {
		args = append(args, "-c", change)
	}
	out, err := d.Try(ctx, archive, append(args, "-", tag)...)
	if err == nil && out.Code != 0 {
		err = fmt.Errorf("docker import: %s", out.Stderr)
	}
	return err
}

// Tar writes files with their folders.
func Tar(files []decoy.File) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	folders := map[string]bool{"/": true, "/proc": true, "/tmp": true, "/etc": true, "/usr/bin": true, "/usr/sbin": true}
	for _, f := range files {
		for dir := path.Dir(f.Path); dir != "/"; dir = path.Dir(dir) {
			folders[dir] = true
		}
	}
	for dir := range folders {
		for dir = path.Dir(dir); dir != "/"; dir = path.Dir(dir) {
			folders[dir] = true
		}
	}
	names := make([]string, 0, len(folders))
	for dir := range folders {
		names = append(names, dir)
	}
	sort.Strings(names)
	for _, dir := range names[1:] {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir[1:] + "/", Mode: 0o755}); err != nil {
			return nil, err
		}
	}
	for _, link := range []string{"bin", "sbin"} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: link, Linkname: "usr/bin", Mode: 0o777}); err != nil {
			return nil, err
		}
	}
	for _, f := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.Path[1:], Mode: int64(f.Mode & fs.ModePerm), Size: int64(len(f.Content))}
		if f.Mode&fs.ModeNamedPipe != 0 {
			h.Typeflag = tar.TypeFifo
		}
		if f.LinkTo != "" {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, f.LinkTo[1:], 0
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.Content); err != nil {
			return nil, err
		}
	}
	return buf.Bytes(), w.Close()
}

// GoBuild builds a package as the images need it: static, without paths.
func GoBuild(ctx context.Context, pkg, arch string, flags ...string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "hardstand-build-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "program")
	args := slices.Concat([]string{"build", "-trimpath", "-ldflags", "-s -w -buildid=", "-o", out}, flags, []string{pkg})
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go %s: %w: %s", strings.Join(args, " "), err, text)
	}
	return os.ReadFile(out)
}

// Multicall is the package of the decoys' program.
const Multicall = "github.com/hardstand/hardstand/canary/decoy/multicall"
