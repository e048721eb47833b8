package apt

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"

	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/index"
	"github.com/hardstand/hardstand/build/inflate"
	"github.com/hardstand/hardstand/build/xz"
)

// Index fetches a suite's index of binary packages for an architecture. It is
// unpacked and read as it comes in, and never held: what resolving needs of it
// is kept in the cache under the digest that the suite's signature covers, and
// nothing is kept or returned of an index that has another one. The caller
// closes the index.
func (a *Archive) Index(ctx context.Context, r *Release, component, arch string) (*index.Index, error) {
	name := component + "/binary-" + arch + "/Packages"
	plain, ok := r.files[name]
	packed, suffix, okPacked := r.packed(name)
	if !ok || !okPacked {
		return nil, fmt.Errorf("suite %s has no packages for %s", r.Suite, arch)
	}
	if plain.size > maxPackages {
		return nil, fmt.Errorf("suite %s: index of %d bytes, at most %d", r.Suite, plain.size, maxPackages)
	}
	f := packages{plain: plain, packed: packed, suffix: suffix, arch: arch, what: r.Suite + " " + arch}
	if x, err := a.keptIndex(f.key()); err == nil {
		a.progress(Progress{Name: f.what, Bytes: packed.size, Total: packed.size, Cached: true, Done: true})
		return x, nil
	}
	var urls []string
	for _, m := range a.mirrors {
		dir := m.root(ArchiveOf(r.Suite)) + "/dists/" + r.Suite + "/"
		if r.ByHash {
			urls = append(urls, dir+path.Dir(name)+"/by-hash/SHA256/"+string(packed.digest))
		}
		urls = append(urls, dir+name+suffix)
	}
	var x *index.Index
	err := a.fetchFrom(ctx, urls, func(url string) (err error) {
		x, err = a.fetchIndex(ctx, url, f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("suite %s: read %s: %w", r.Suite, name, err)
	}
	a.progress(Progress{Name: f.what, Total: packed.size, Done: true})
	return x, nil
}

// ForgetIndex removes what the cache keeps of an index, because it turned out
// to be damaged.
func (a *Archive) ForgetIndex(r *Release, component, arch string) {
	f := packages{plain: r.files[component+"/binary-"+arch+"/Packages"], arch: arch}
	if record, err := a.cache.Record(f.key()); err == nil && len(record) >= digestSize {
		a.cache.Discard(cache.Digest(record[:digestSize]))
	}
}

// packages is an index that a release names.
type packages struct {
	plain, packed indexFile
	suffix        string // of packed
	arch, what    string
}

// key names the record of a kept index: the digest of the kept text and its
// table.
func (f packages) key() cache.Digest {
	return cache.Key("index", index.Version, string(f.plain.digest), f.arch)
}

// digestSize is the length of a cache.Digest.
const digestSize = 2 * sha256.Size

func (a *Archive) keptIndex(key cache.Digest) (*index.Index, error) {
	record, err := a.cache.Record(key)
	if err != nil {
		return nil, err
	}
	if len(record) < digestSize {
		return nil, index.ErrDamaged
	}
	digest, err := cache.ParseDigest(string(record[:digestSize]))
	if err != nil {
		return nil, err
	}
	table, err := index.ParseTable(record[digestSize:])
	if err != nil {
		return nil, err
	}
	return a.openIndex(digest, table)
}

// openIndex opens the kept text of a table, which is checked as it is read.
func (a *Archive) openIndex(digest cache.Digest, table *index.Table) (*index.Index, error) {
	text, err := a.cache.Open(digest)
	if err != nil {
		return nil, err
	}
	if info, err := text.Stat(); err != nil || info.Size() != table.Size() {
		_ = text.Close()
		a.cache.Discard(digest)
		return nil, errors.Join(index.ErrDamaged, err)
	}
	return index.New(table, text), nil
}

// fetchIndex downloads an index from one place, and keeps what it says if it is
// the one that was signed.
func (a *Archive) fetchIndex(ctx context.Context, url string, f packages) (*index.Index, error) {
	w, err := a.cache.Create()
	if err != nil {
		return nil, permanent(err)
	}
	defer w.Abort()
	b := index.NewBuilder(f.arch, w)
	if err := a.downloadIndex(ctx, url, f, b); err != nil {
		return nil, err
	}
	table, err := b.Table()
	if err != nil {
		return nil, permanent(err)
	}
	digest := w.Sum()
	if err := w.Commit(digest); err != nil {
		return nil, permanent(err)
	}
	if err := a.cache.PutRecord(f.key(), append([]byte(digest), table.Bytes()...)); err != nil {
		return nil, permanent(err)
	}
	x, err := a.openIndex(digest, table)
	if err != nil {
		return nil, permanent(err)
	}
	return x, nil
}

// downloadIndex downloads an index and unpacks it to out. Its error is nil only
// if both forms have the digests that were signed.
func (a *Archive) downloadIndex(ctx context.Context, url string, f packages, out io.Writer) error {
	r, w := io.Pipe()
	unpacked := make(chan error, 1)
	go func() {
		err := unpack(out, r, f.suffix, f.plain)
		_, _ = io.Copy(io.Discard, r) // so that what is wrong with the download is said first
		unpacked <- err
	}()
	var n int64
	packed := sha256.New()
	err := a.download(ctx, url, io.MultiWriter(packed, w), f.packed.size, 0, func(more int64) {
		n += more
		a.progress(Progress{Name: f.what, Bytes: more, Total: f.packed.size})
	})
	if err == nil {
		if got := cache.HashOf(packed); got != f.packed.digest {
			err = permanent(fmt.Errorf("%w: want sha256:%s, got sha256:%s", cache.ErrDigest, f.packed.digest, got))
		}
	}
	_ = w.CloseWithError(err)
	if wrong := <-unpacked; err == nil && wrong != nil {
		err = permanent(wrong)
	}
	if err != nil {
		a.progress(Progress{Name: f.what, Bytes: -n, Total: f.packed.size})
	}
	return err
}

// packed finds the compressed form of an index. Gzip comes first: it unpacks
// four times as fast as xz, which is all that some suites have.
func (r *Release) packed(name string) (indexFile, string, bool) {
	for _, suffix := range []string{".gz", ".xz"} {
		if f, ok := r.files[name+suffix]; ok {
			return f, suffix, true
		}
	}
	return indexFile{}, "", false
}

// xzDictMax bounds the memory an xz stream may ask for.
const xzDictMax = 64 << 20

// An index is unpacked in steps of stepSize bytes, of which steps are under way
// at once: while one is unpacked, those before it are hashed and read.
const (
	stepSize = 256 << 10
	steps    = 4
)

// unpack unpacks an index to out. It must have the size and the digest of want,
// of which the size bounds what is written.
func unpack(out io.Writer, r io.Reader, suffix string, want indexFile) error {
	var z io.ReadCloser
	var err error
	if suffix == ".xz" {
		z, err = xz.NewReader(r, xzDictMax)
	} else {
		z, err = inflate.NewReader(r)
	}
	if err != nil {
		return err
	}
	defer func() { _ = z.Close() }() // it was read to its end, or failed already
	full, free := make(chan []byte, steps), make(chan []byte, steps)
	for range steps {
		free <- make([]byte, stepSize)
	}
	type outcome struct {
		digest cache.Digest
		err    error // of out
	}
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		h := sha256.New()
		for step := range full {
			h.Write(step)
			if o.err == nil {
				_, o.err = out.Write(step)
			}
			free <- step[:stepSize]
		}
		o.digest = cache.HashOf(h)
		done <- o
	}()
	for rest := want.size; rest > 0 && err == nil; {
		step := (<-free)[:min(stepSize, rest)]
		if _, err = io.ReadFull(z, step); err == nil {
			rest -= int64(len(step))
			full <- step
		}
	}
	close(full)
	o := <-done
	if err != nil {
		return fmt.Errorf("shorter than the %d bytes announced: %w", want.size, err)
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(z, 1)); err != nil || n > 0 {
		return errors.Join(fmt.Errorf("longer than the %d bytes announced", want.size), err)
	}
	if o.digest != want.digest {
		return fmt.Errorf("unpacked: %w: want sha256:%s, got sha256:%s", cache.ErrDigest, want.digest, o.digest)
	}
	return o.err
}
