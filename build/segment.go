package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"golang.org/x/sync/singleflight"

	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/deb"
	"github.com/hardstand/hardstand/build/effect"
	"github.com/hardstand/hardstand/build/elf"
	"github.com/hardstand/hardstand/build/license"
	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/spec"
)

// transformVersion is part of every segment's key. Raise it whenever the bytes
// of a segment or a layer can change for the same input.
const transformVersion = "8"

// segment is a rootfs.Segment with the blob that holds it.
type segment struct {
	*rootfs.Segment
	Packed     cache.Digest `json:"packed"` // the tar blocks, compressed
	PackedSize int64        `json:"packed-size"`
	Maintainer string       `json:"maintainer,omitempty"`
	// What the package says it is, compared with the lock on every use.
	Name, Version, Architecture, Source, SourceVersion string
	Scripts                                            []string  `json:"scripts,omitempty"` // maintainer scripts that were not run
	Register                                           *Register `json:"register,omitempty"`
	// What the package's copyright file says, and where that file is.
	License     *license.Info `json:"license,omitempty"`
	LicenseFile string        `json:"license-file,omitempty"`
	Patterns    []string      `json:"patterns,omitempty"` // the drop patterns that left something out
	// What is done in place of the scripts; see package effect.
	Does        string            `json:"does,omitempty"`
	Whole       []string          `json:"whole,omitempty"`
	Loaded      []string          `json:"loaded,omitempty"`
	Environment map[string]string `json:"environment,omitempty"`
	// ELF holds the programs and libraries, by path.
	ELF map[string]*elf.Info `json:"elf,omitempty"`

	held *blocks // nil if it comes from the cache
}

// segmentWriter compresses tar blocks into the cache, and keeps them in memory
// for the layer that they are about to be part of.
type segmentWriter struct {
	ctx    context.Context
	packed *cache.Writer
	zip    *packer
}

func newSegmentWriter(ctx context.Context, o Options) (*segmentWriter, error) {
	w, err := o.Cache.Create()
	if err != nil {
		return nil, err
	}
	return &segmentWriter{ctx, w, newPacker(o.by, w, &blocks{room: o.room})}, nil
}

func (w *segmentWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.zip.Write(p)
}

func (w *segmentWriter) commit(s *segment) error {
	if err := w.zip.Close(); err != nil {
		return err
	}
	s.Packed, s.PackedSize, s.held = w.packed.Sum(), w.packed.Size(), w.zip.kept
	return w.packed.Commit(s.Packed)
}

// inFlight keeps platforms that are composed at once from making the same
// segment twice.
var inFlight singleflight.Group

// cachedSegment returns the segment stored under key, or makes and stores it.
func cachedSegment(ctx context.Context, o Options, key cache.Digest, write func(*segmentWriter) (*segment, error)) (*segment, error) {
	s, err, _ := inFlight.Do(o.Cache.Dir()+"\x00"+string(key), func() (any, error) { return makeSegment(ctx, o, key, write) })
	if err != nil {
		return nil, err
	}
	return s.(*segment), nil
}

func makeSegment(ctx context.Context, o Options, key cache.Digest, write func(*segmentWriter) (*segment, error)) (*segment, error) {
	if data, err := o.Cache.Record(key); err == nil {
		var s segment
		if json.Unmarshal(data, &s) == nil && s.Segment != nil && o.Cache.Stat(s.Packed, s.PackedSize) {
			return &s, nil
		}
	}
	w, err := newSegmentWriter(ctx, o)
	if err != nil {
		return nil, err
	}
	defer w.packed.Abort()
	s, err := write(w)
	if err != nil {
		return nil, err
	}
	if err := w.commit(s); err != nil {
		return nil, err
	}
	data, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return s, o.Cache.PutRecord(key, data)
}

// debSegment fetches and transforms a package.
func debSegment(ctx context.Context, o Options, p *spec.Package, drop []string) (*segment, error) {
	digest, err := cache.ParseDigest(p.SHA256)
	if err != nil {
		return nil, err
	}
	key := cache.Key(append([]string{"segment", transformVersion, o.by.encoder, p.Name, p.SHA256}, drop...)...)
	s, err := cachedSegment(ctx, o, key, func(w *segmentWriter) (*segment, error) {
		file, err := o.fetchDeb(ctx, p, digest)
		if err != nil {
			return nil, err
		}
		f, err := os.Open(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read package %s: %w", p.Name, errCacheLost) // pruned by another process
		}
		if err != nil {
			return nil, fmt.Errorf("read package %s: %w", p.Name, err)
		}
		defer f.Close() //nolint:errcheck // opened for reading
		r, err := deb.NewReader(f, deb.Limits{})
		if err != nil {
			return nil, fmt.Errorf("read package %s: %w", p.Name, err)
		}
		defer r.Close()
		return transform(w, r, p, drop)
	})
	if err != nil {
		return nil, err
	}
	return s, s.is(p)
}

// is compares what a package says it is with what the lock says.
func (s *segment) is(p *spec.Package) error {
	have := [...]string{s.Name, s.Version, s.Architecture, s.Source, s.SourceVersion}
	want := [...]string{p.Name, p.Version, p.Architecture, p.Source, p.SourceVersion}
	if have != want {
		return fmt.Errorf("package %s: the file is %s, the lock says %s", p.Name, strings.Join(have[:], " "), strings.Join(want[:], " "))
	}
	return nil
}

// transform writes a package's segment: its files under the definition's drop
// rules, what its maintainer scripts would have made, and its entry in
// var/lib/dpkg/status.d, by which scanners find it.
func transform(w io.Writer, r *deb.Reader, p *spec.Package, drop []string) (*segment, error) {
	control := r.Control()
	e := effect.Of(effect.Package{Name: p.Name, Version: p.Version, Architecture: p.Architecture, Scripts: control.Scripts})
	dropped := map[string]bool{}
	programs := &inspector{}
	copyright := &limited{max: license.MaxFile}
	used := map[string]bool{}
	rules := rootfs.Rules{
		Inspect: func(entry rootfs.Entry) io.Writer {
			if entry.Path == copyrightFile(p.Name) {
				copyright.seen = true
				return copyright
			}
			return programs.file(entry)
		},
		Drop: func(name string) bool {
			for _, pattern := range drop {
				if spec.MatchPattern(pattern, name) {
					dropped[name], used[pattern] = true, true
				}
			}
			if e.Drop(name) {
				dropped[name] = true
			}
			return dropped[name]
		},
		Take: func(entry rootfs.Entry, body io.Reader) (bool, error) {
			taken, err := e.Take(entry, body)
			if taken {
				dropped[entry.Path] = true
			}
			return taken, err
		},
		Add: func() ([]rootfs.Content, error) {
			more, err := e.Files()
			return append(more, status(control, dropped)...), err
		},
	}
	s, err := rootfs.WriteSegment(w, p.Name, debSource{r}, rules)
	if err != nil {
		return nil, err
	}
	found, err := programs.done()
	if err != nil {
		return nil, fmt.Errorf("package %s: %w", p.Name, err)
	}
	source, sourceVersion := control.Stanza.Source()
	out := &segment{
		Segment: s, ELF: found, Maintainer: control.Stanza.Get("Maintainer"), Scripts: e.Unhandled,
		Does: e.Does, Whole: e.Whole, Loaded: e.Loaded, Environment: e.Environment,
		Name: control.Stanza.Get("Package"), Version: control.Stanza.Get("Version"), Architecture: control.Stanza.Get("Architecture"),
		Source: source, SourceVersion: sourceVersion, Patterns: slices.Sorted(maps.Keys(used)),
	}
	if copyright.seen {
		info := license.Parse(copyright.data)
		out.License, out.LicenseFile = &info, copyrightFile(p.Name)
	}
	return out, nil
}

// limited keeps the first bytes that are written to it.
type limited struct {
	max  int
	data []byte
	seen bool
}

func (l *limited) Write(p []byte) (int, error) {
	l.data = append(l.data, p[:min(len(p), l.max-len(l.data))]...)
	return len(p), nil
}

// status gives the package's files in var/lib/dpkg/status.d, the form that
// scanners know from distroless images: the control stanza, and the checksums
// of the files that are really there.
func status(c deb.Control, dropped map[string]bool) []rootfs.Content {
	name := c.Stanza.Get("Package")
	file := func(suffix string, data []byte) rootfs.Content {
		return rootfs.Content{Entry: rootfs.Entry{Path: "var/lib/dpkg/status.d/" + name + suffix, Mode: 0o644}, Data: data}
	}
	var sums bytes.Buffer
	for line := range bytes.Lines(c.MD5Sums) {
		if _, p, ok := strings.Cut(strings.TrimSpace(string(line)), "  "); ok && !dropped[rootfs.Canonical(p, rootfs.File)] {
			sums.Write(line)
		}
	}
	list := []rootfs.Content{file("", append(bytes.TrimSpace(c.Stanza), '\n'))}
	if sums.Len() > 0 {
		list = append(list, file(".md5sums", sums.Bytes()))
	}
	return list
}

// debSource gives a package's entries to rootfs.
type debSource struct{ *deb.Reader }

func (s debSource) Next() (rootfs.Entry, error) {
	e, err := s.Reader.Next()
	if err != nil {
		return rootfs.Entry{}, err
	}
	out := rootfs.Entry{Path: e.Path, Type: rootfs.Type(e.Type), UID: e.UID, GID: e.GID, Size: e.Size, ModTime: e.ModTime.Unix(), Link: e.Link, Mode: uint32(e.Mode.Perm())}
	for bit, flag := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if e.Mode&flag != 0 {
			out.Mode |= bit
		}
	}
	return out, nil
}

// contentSegment makes a segment of files in memory.
func contentSegment(ctx context.Context, o Options, owner string, list []rootfs.Content) (*segment, error) {
	h := sha256.New()
	for _, f := range list {
		meta, err := json.Marshal(f.Entry)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(h, "%d:%s%d:", len(meta), meta, len(f.Data))
		h.Write(f.Data)
	}
	key := cache.Key("content", transformVersion, o.by.encoder, owner, string(cache.HashOf(h)))
	return cachedSegment(ctx, o, key, func(w *segmentWriter) (*segment, error) {
		programs := &inspector{}
		s, err := rootfs.WriteSegment(w, owner, rootfs.Contents(list), rootfs.Rules{Inspect: programs.file})
		if err != nil {
			return nil, err
		}
		found, err := programs.done()
		return &segment{Segment: s, ELF: found}, err
	})
}
