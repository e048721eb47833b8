package build

import (
	"archive/tar"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/effect"
	"github.com/hardstand/hardstand/build/elf"
	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/spec"
)

// note keeps what stands in for a package's scripts.
func (img *Image) note(name string, s *segment) {
	if len(s.Scripts) > 0 {
		img.Unhandled[name] = s.Scripts
	}
	if s.Does != "" {
		img.Effects[name] = s.Does
	}
	maps.Copy(img.environment, s.Environment)
}

// wholeEffects makes what the packages' scripts would make of the whole image.
func (img *Image) wholeEffects(ctx context.Context, o Options, debs []*segment, newest int64) ([]*segment, error) {
	wanted := map[string]bool{}
	for _, s := range debs {
		for _, w := range s.Whole {
			wanted[w] = true
		}
	}
	if img.base.has(loaderCache) && slices.ContainsFunc(debs, func(s *segment) bool { return len(s.ELF) > 0 }) {
		wanted[effect.WholeLoaderCache] = true // the base's does not know ours
	}
	if wanted[effect.WholeLoaderCache] && img.base.has(loaderCache) {
		img.Tree.Release(loaderCache)
	}
	var list []*segment
	if wanted[effect.WholeLoaderCache] {
		libraries := img.elfImage(debs).Libraries()
		content := rootfs.Content{Entry: rootfs.Entry{Path: loaderCache, Mode: 0o644, ModTime: newest}, Data: elf.WriteCache(machines[img.Platform], libraries)}
		s, err := contentSegment(ctx, o, "hardstand", []rootfs.Content{content})
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	if wanted[effect.WholeKeystore] {
		s, err := keystore(ctx, o, debs, newest)
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	for _, s := range list {
		if err := img.Tree.Add(s.Segment); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// loaderCache is what ld.so finds libraries by.
const loaderCache = "etc/ld.so.cache"

// machines are the ELF machines of the platforms.
var machines = map[spec.Platform]string{
	{Arch: "amd64"}: "EM_X86_64", {Arch: "arm64"}: "EM_AARCH64", {Arch: "arm", Variant: "v7"}: "EM_ARM",
	{Arch: "riscv64"}: "EM_RISCV", {Arch: "ppc64le"}: "EM_PPC64", {Arch: "s390x"}: "EM_S390",
}

// keystore makes Java's keystore of the certificate bundle.
func keystore(ctx context.Context, o Options, debs []*segment, newest int64) (*segment, error) {
	i := slices.IndexFunc(debs, func(s *segment) bool {
		return slices.ContainsFunc(s.Entries, func(e rootfs.Entry) bool { return e.Path == effect.BundlePath })
	})
	if i < 0 {
		return nil, errors.New("ca-certificates-java needs the package ca-certificates, whose certificates the keystore holds")
	}
	key := cache.Key("keystore", transformVersion, o.by.encoder, string(debs[i].key), fmt.Sprint(newest))
	return cachedSegment(ctx, o, key, func(w *segmentWriter) (*segment, error) {
		bundle, err := o.store.readFile(debs[i], effect.BundlePath)
		if err != nil {
			return nil, err
		}
		data, err := effect.Keystore(bundle)
		if err != nil {
			return nil, err
		}
		s, err := rootfs.WriteSegment(w, "hardstand", rootfs.Contents([]rootfs.Content{
			{Entry: rootfs.Entry{Path: effect.KeystorePath, Mode: 0o644, ModTime: newest}, Data: data}}), rootfs.Rules{})
		return &segment{Segment: s}, err
	})
}

// maxRead bounds a file that is read out of a segment, in bytes.
const maxRead = 16 << 20

// readFile reads one file out of a segment.
func (st *store) readFile(s *segment, name string) ([]byte, error) {
	r, w := io.Pipe()
	copied := make(chan error, 1)
	go func() {
		err := st.copySegment(io.Discard, w, s)
		_ = w.CloseWithError(cmp.Or(err, io.EOF))
		copied <- err
	}()
	data, err := findFile(r, name)
	_, _ = io.Copy(io.Discard, r) // damage shows at the end
	if err := cmp.Or(<-copied, err); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}

// findFile reads one file out of a tar stream.
func findFile(r io.Reader, name string) ([]byte, error) {
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if err != nil {
			return nil, err
		}
		if h.Name != name {
			continue
		}
		if h.Size > maxRead {
			return nil, fmt.Errorf("%d bytes, at most %d", h.Size, maxRead)
		}
		return io.ReadAll(t)
	}
}

// links are the definition's own symlinks.
func links(d *spec.Definition) []rootfs.Content {
	var list []rootfs.Content
	for _, p := range slices.Sorted(maps.Keys(d.Links)) {
		at := rootfs.Canonical(strings.TrimPrefix(p, "/"), rootfs.File)
		list = append(list, rootfs.Content{Entry: rootfs.Entry{Path: at, Type: rootfs.Symlink, Mode: 0o777, Link: d.Links[p]}})
	}
	return list
}
