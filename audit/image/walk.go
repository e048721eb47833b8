package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"github.com/hardstand/hardstand/audit/credential"
	"github.com/hardstand/hardstand/build/elf"
	"github.com/hardstand/hardstand/build/inflate"
)

// What is read of an image at most.
const (
	MaxLayers   = 256
	MaxEntries  = 1_000_000 // files, over all layers
	MaxUnpacked = 32 << 30  // bytes, over all layers
	MaxConfig   = 8 << 20   // bytes
	maxPath     = 4096      // bytes of a path
	maxDepth    = 256       // parts of a path
	maxScanned  = 2 << 20   // bytes of a file that are searched for secrets
	maxELF      = 64 << 20  // bytes of a program that is looked into
	maxKept     = 1 << 20   // bytes of a file that is held
	// An honest layer does not shrink to less than this part of its size. The
	// first megabytes are not counted.
	maxRatio   = 400
	freeOfSize = 64 << 20
)

// entry is one file of one layer.
type entry struct {
	path   string // clean, without a leading slash
	layer  int
	kind   byte // as of archive/tar
	mode   fs.FileMode
	uid    int
	gid    int
	size   int64
	link   string // target of a link as written
	sha256 string // of a regular file
	caps   bool   // it has file capabilities
	elf    *elf.Info
	isELF  bool
	script string // the interpreter of a script
	secret string // the kind of secret found in it
	data   []byte // of the few files that rules read
	gone   bool   // an upper layer removes or replaces it
}

type layer struct {
	diffID  string
	entries []*entry
	removed []string // whiteouts: paths, and "dir/" for opaque directories
}

// tree is what the layers hold and what they add up to.
type tree struct {
	layers []layer
	files  map[string]*entry // in force
	sorted []*entry          // those in order of their paths
	notes  []string
}

func (s *subject) open(ctx context.Context, in Input) error {
	raw, err := in.Image.RawConfigFile()
	if err != nil {
		return err
	}
	if len(raw) > MaxConfig {
		return fmt.Errorf("the configuration has more than %d bytes", MaxConfig)
	}
	if s.config, err = v1.ParseConfigFile(bytes.NewReader(raw)); err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if !in.Unpacked {
		if err := s.manifest(in.Image, raw); err != nil {
			return err
		}
	} else {
		s.artifact.SHA256 = fmt.Sprintf("%x", sha256.Sum256(raw))
	}
	layers, err := in.Image.Layers()
	if err != nil {
		return err
	}
	if len(layers) != len(s.config.RootFS.DiffIDs) {
		return fmt.Errorf("the manifest has %d layers and the configuration %d", len(layers), len(s.config.RootFS.DiffIDs))
	}
	if len(layers) > MaxLayers {
		return fmt.Errorf("it has %d layers, more than %d", len(layers), MaxLayers)
	}
	s.tree, err = readLayers(ctx, layers, s.config.RootFS.DiffIDs, in.Unpacked)
	return err
}

// manifest takes the image's digest, and checks that the configuration is the
// one it names.
func (s *subject) manifest(img v1.Image, config []byte) error {
	m, err := img.Manifest()
	if err != nil {
		return err
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(config)); m.Config.Digest.Hex != sum {
		return fmt.Errorf("the configuration has the digest sha256:%s, and the manifest says %s", sum, m.Config.Digest)
	}
	d, err := img.Digest()
	s.artifact.SHA256 = d.Hex
	return err
}

func readLayers(outer context.Context, list []v1.Layer, diffIDs []v1.Hash, unpacked bool) (*tree, error) {
	t := &tree{layers: make([]layer, len(list)), files: map[string]*entry{}}
	var budget budget
	g, ctx := errgroup.WithContext(outer)
	g.SetLimit(max(2, runtime.GOMAXPROCS(0)))
	for i, l := range list {
		g.Go(func() error {
			r := &reader{index: i, budget: &budget, out: &t.layers[i]}
			if err := r.layer(ctx, l, diffIDs[i].String(), unpacked); err != nil {
				return fmt.Errorf("layer %d: %w", i, err)
			}
			return nil
		})
	}
	if err := errors.Join(g.Wait(), outer.Err()); err != nil {
		return nil, err
	}
	t.merge()
	return t, nil
}

// budget is what all layers together may cost.
type budget struct{ entries, unpacked atomic.Int64 }

// reader reads one layer.
type reader struct {
	index  int
	budget *budget
	out    *layer
	packed *counted
	total  int64 // bytes of the unpacked layer
	whole  int64 // bytes of its files, holes included
	buf    []byte
}

func (r *reader) layer(ctx context.Context, l v1.Layer, diffID string, unpacked bool) (err error) {
	r.out.diffID = diffID
	open := l.Compressed
	if unpacked {
		open = l.Uncompressed
	}
	blob, err := open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, blob.Close()) }()
	r.packed = &counted{r: blob}
	plain, done, err := unpack(r.packed)
	if err != nil {
		return err
	}
	defer done()
	piped := ahead(ctx, plain)
	defer piped.stop()
	sum := sha256.New()
	stream := io.TeeReader(&limited{r: piped, of: r}, sum)
	if err := r.entries(tar.NewReader(stream)); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, stream); err != nil {
		return err
	}
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); got != diffID {
		return fmt.Errorf("it has the digest %s, and the configuration says %s", got, diffID)
	}
	return nil
}

// unpack tells by the first bytes how a layer is compressed.
func unpack(r io.Reader) (io.Reader, func(), error) {
	b := bufio.NewReaderSize(r, 1<<18)
	head, err := b.Peek(4)
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := inflate.NewReader(b)
		return z, func() {}, err
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return b, func() {}, nil
}

// counted counts the compressed bytes. Another goroutine reads the count.
type counted struct {
	r io.Reader
	n atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// limited ends a layer that unpacks to too much.
type limited struct {
	r  io.Reader
	of *reader
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	l.of.total += int64(n)
	if l.of.budget.unpacked.Add(int64(n)) > MaxUnpacked {
		return 0, fmt.Errorf("the layers unpack to more than %d bytes", int64(MaxUnpacked))
	}
	if bomb := l.of.bomb(l.of.total); bomb != nil {
		return 0, bomb
	}
	return n, err
}

// bomb says that n bytes are more than a layer of this size honestly has.
func (r *reader) bomb(n int64) error {
	if r.packed != nil && n > freeOfSize && n/maxRatio > r.packed.n.Load() {
		return fmt.Errorf("it unpacks to more than %d times its size: it is not read further", maxRatio)
	}
	return nil
}

// holes reads a file with the holes that a sparse one has, which no byte of
// the layer stands for: a header of a kilobyte may announce an exabyte.
type holes struct {
	r  io.Reader
	of *reader
}

func (h *holes) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	h.of.whole += int64(n)
	if bomb := h.of.bomb(h.of.whole); bomb != nil {
		return 0, bomb
	}
	return n, err
}

func (r *reader) entries(t *tar.Reader) error {
	for {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if r.budget.entries.Add(1) > MaxEntries {
			return fmt.Errorf("more than %d files", MaxEntries)
		}
		if len(h.Name) > maxPath || len(h.Linkname) > maxPath {
			return fmt.Errorf("a path of more than %d bytes", maxPath)
		}
		if strings.Count(h.Name, "/") > maxDepth {
			return fmt.Errorf("a path of more than %d parts", maxDepth)
		}
		if err := r.entry(t, h); err != nil {
			return fmt.Errorf("%q: %w", h.Name, err)
		}
	}
}

const (
	whiteout = ".wh."
	opaque   = ".wh..wh..opq"
)

func (r *reader) entry(t *tar.Reader, h *tar.Header) error {
	name := strings.ToValidUTF8(strings.TrimPrefix(path.Clean("/"+h.Name), "/"), "\uFFFD")
	dir, base := path.Split(name)
	switch {
	case base == opaque:
		r.out.removed = append(r.out.removed, dir)
		return nil
	case strings.HasPrefix(base, whiteout):
		r.out.removed = append(r.out.removed, dir+base[len(whiteout):])
		return nil
	case name == "":
		return nil
	}
	e := &entry{path: name, layer: r.index, kind: h.Typeflag, mode: h.FileInfo().Mode(), uid: h.Uid, gid: h.Gid, size: h.Size, link: h.Linkname}
	for k := range h.PAXRecords {
		e.caps = e.caps || k == "SCHILY.xattr.security.capability" || k == "LIBARCHIVE.xattr.security.capability"
	}
	if h.Typeflag == tar.TypeGNUSparse || h.Typeflag == tar.TypeCont { // old names of a file with holes, and of a file
		e.kind = tar.TypeReg
	}
	r.out.entries = append(r.out.entries, e)
	if e.kind == tar.TypeReg {
		return r.content(&holes{t, r}, e)
	}
	return nil
}

// content looks at a regular file: its digest, what it is, and what is in it.
func (r *reader) content(t io.Reader, e *entry) error {
	sum := sha256.New()
	head := make([]byte, 0, 256)
	want := int64(maxScanned)
	if cap(r.buf) < 1<<16 {
		r.buf = make([]byte, 1<<16)
	}
	first, err := io.ReadFull(t, r.buf[:min(int64(1<<16), e.size)])
	if err != nil && err != io.EOF {
		return err
	}
	head = append(head, r.buf[:min(first, 256)]...)
	e.isELF = bytes.HasPrefix(head, []byte(elf.Magic))
	if e.isELF {
		want = maxELF
	}
	if e.isELF && e.size > maxELF {
		want = 0
	}
	n := min(e.size, want)
	if int64(cap(r.buf)) < n {
		r.buf = append(make([]byte, 0, n), r.buf[:first]...)
	}
	data := r.buf[:max(n, int64(first))]
	if int64(first) < n {
		if _, err := io.ReadFull(t, data[first:]); err != nil {
			return err
		}
	}
	sum.Write(data)
	if _, err := io.Copy(sum, t); err != nil {
		return err
	}
	e.sha256 = hex.EncodeToString(sum.Sum(nil))
	e.inspect(data)
	return nil
}

func (e *entry) inspect(data []byte) {
	switch {
	case e.isELF:
		e.elf, _ = elf.Read(data) // nil for one that is damaged or too large, which the closure reports
		return
	case bytes.HasPrefix(data, []byte("#!")):
		line, _, _ := bytes.Cut(data[2:min(len(data), 258)], []byte("\n"))
		e.script = strings.ToValidUTF8(strings.TrimSpace(string(line)), "\uFFFD")
	}
	if found, ok := credential.In(data); ok {
		e.secret = found.Kind
	}
	if kept[e.path] && len(data) <= maxKept {
		e.data = bytes.Clone(data)
	}
}

// kept are the files whose content rules read.
var kept = map[string]bool{"etc/passwd": true, "etc/group": true, "etc/os-release": true, "usr/lib/os-release": true}

// merge lays the layers over each other, from the top: what a layer hides it
// hides below itself.
func (t *tree) merge() {
	hidden, opaque := map[string]bool{}, map[string]bool{}
	for i := len(t.layers) - 1; i >= 0; i-- {
		var hides []string
		l := t.layers[i]
		for _, e := range slices.Backward(l.entries) {
			above := t.files[e.path]
			switch {
			case above == nil && !covered(hidden, opaque, e.path):
				t.files[e.path] = e
			case above == nil || e.kind != tar.TypeDir || above.kind != tar.TypeDir:
				e.gone = true
			}
			if e.kind != tar.TypeDir {
				hides = append(hides, e.path)
			}
		}
		for _, name := range hides {
			hidden[name] = true
		}
		for _, name := range l.removed {
			if name == "" || strings.HasSuffix(name, "/") {
				opaque[strings.TrimSuffix(name, "/")] = true
			} else {
				hidden[name] = true
			}
		}
	}
	for _, e := range t.files {
		t.sorted = append(t.sorted, e)
	}
	slices.SortFunc(t.sorted, func(a, b *entry) int { return strings.Compare(a.path, b.path) })
	t.hardlinks()
}

// covered reports whether a layer above removes a path or one of its parents.
func covered(hidden, opaque map[string]bool, name string) bool {
	if hidden[name] || opaque[""] {
		return true
	}
	for i := strings.LastIndexByte(name, '/'); i > 0; i = strings.LastIndexByte(name[:i], '/') {
		if hidden[name[:i]] || opaque[name[:i]] {
			return true
		}
	}
	return false
}

// maxLinks bounds how many symlinks are followed, as the kernel does.
const maxLinks = 40

// resolve follows symlinks, also in the directories of a path. ok is false
// for what does not exist or loops.
func (t *tree) resolve(name string) (string, bool) {
	rest := strings.Split(strings.TrimPrefix(path.Clean("/"+name), "/"), "/")
	at := ""
	for links := 0; len(rest) > 0; {
		next := path.Join(at, rest[0])
		rest = rest[1:]
		e := t.files[next]
		if e == nil || e.kind != tar.TypeSymlink {
			at = next
			continue
		}
		if links++; links > maxLinks {
			return "", false
		}
		target := path.Clean("/" + path.Join(at, e.link))
		if strings.HasPrefix(e.link, "/") {
			target = path.Clean(e.link)
		}
		if len(target) > maxPath {
			return "", false
		}
		rest = append(strings.Split(strings.TrimPrefix(target, "/"), "/"), rest...)
		at = ""
		if rest[0] == "" {
			rest = rest[1:]
		}
	}
	_, ok := t.files[at]
	return at, ok
}

// find returns the file that a path leads to.
func (t *tree) find(name string) *entry {
	if p, ok := t.resolve(name); ok {
		return t.files[p]
	}
	return nil
}
