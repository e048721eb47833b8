package build

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"golang.org/x/sync/singleflight"

	"github.com/hardstand/hardstand/build/cache"
)

// place is where in the cache a segment's compressed bytes are: in a layer, as
// a rule, or in a blob of their own.
type place struct {
	Blob   cache.Digest `json:"blob"`
	Offset int64        `json:"offset,omitempty"` // bytes
}

// store keeps a segment from being made twice: in the cache, and until it is
// there, for the platforms that are composed at once.
type store struct {
	*cache.Cache
	by    codec
	blob  func(cache.Digest) (string, error) // Options.blob
	made  *sync.Map                          // of *segment and layerRecord, by key
	whole *sync.Map                          // files of blobs that have been hashed
}

// inFlight lets one of those that want a segment at the same time make it.
var inFlight singleflight.Group

// cachedSegment returns the segment stored under key, or makes it.
func cachedSegment(ctx context.Context, o Options, key cache.Digest, write func(*segmentWriter) (*segment, error)) (*segment, error) {
	s, err, _ := inFlight.Do(o.Cache.Dir()+"\x00"+string(key), func() (any, error) {
		if s, ok := o.store.made.Load(key); ok {
			return s, nil
		}
		if s := o.store.find(key); s != nil {
			o.store.made.Store(key, s)
			return s, nil
		}
		return makeSegment(ctx, o, key, write)
	})
	if err != nil {
		return nil, err
	}
	return s.(*segment), nil
}

func (st *store) find(key cache.Digest) *segment {
	data, err := st.Record(key)
	if err != nil {
		return nil
	}
	s := &segment{key: key}
	if json.Unmarshal(data, s) != nil || s.Segment == nil || !st.Contains(s.Place.Blob, s.Place.Offset+s.PackedSize) {
		return nil
	}
	return s
}

func makeSegment(ctx context.Context, o Options, key cache.Digest, write func(*segmentWriter) (*segment, error)) (*segment, error) {
	w := newSegmentWriter(ctx, o)
	defer w.abort()
	s, err := write(w)
	if err != nil {
		return nil, err
	}
	s.key = key
	if err := w.finish(s); err != nil {
		return nil, err
	}
	if s.held == nil {
		return s, o.store.record(s, s.Place)
	}
	o.store.made.Store(key, s)
	return s, nil
}

// record remembers where a segment is.
func (st *store) record(s *segment, at place) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Place = at
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return st.PutRecord(s.key, data)
}

// layered remembers that a segment is part of a layer, if it is nowhere yet.
func (st *store) layered(s *segment, layer cache.Digest, offset int64) error {
	if s.at().Blob != "" {
		return nil
	}
	return st.record(s, place{layer, offset})
}

// save writes a segment that no layer came to hold.
func (st *store) save(s *segment) error {
	if s.held == nil || s.at().Blob != "" {
		return nil
	}
	w, err := st.Create()
	if err != nil {
		return err
	}
	defer w.Abort()
	if err := s.held.copyTo(w, io.Discard); err != nil {
		return err
	}
	d := w.Sum()
	if err := w.Commit(d); err != nil {
		return err
	}
	return st.record(s, place{Blob: d})
}

// saveAll keeps what was made of packages when the image comes to nothing.
func (st *store) saveAll(list []*segment) {
	for _, s := range list {
		if s != nil && st.save(s) != nil {
			return // it is a cache
		}
	}
}

// release forgets the blocks of segments that are in the cache by now.
func (st *store) release() {
	st.made.Range(func(_, v any) bool {
		if s, ok := v.(*segment); ok && s.at().Blob != "" {
			s.held.release()
		}
		return true
	})
}

// copySegment copies a segment as it is, and unpacked.
func (st *store) copySegment(packed, plain io.Writer, s *segment) error {
	err := s.held.copyTo(packed, plain)
	if !errors.Is(err, errNotHeld) {
		return err
	}
	r, w := io.Pipe()
	unpacked := make(chan error, 1)
	go func() {
		err := st.unpack(plain, r)
		_, _ = io.Copy(io.Discard, r)
		unpacked <- err
	}()
	at := s.at()
	err = st.copyPart(io.MultiWriter(packed, w), at, s.PackedSize)
	if errors.Is(err, fs.ErrNotExist) {
		st.made.Delete(s.key)
		err = fmt.Errorf("%w: %v", errCacheLost, err) // not fs.ErrNotExist: nothing is gone from a mirror
	}
	_ = w.CloseWithError(err)
	return cmp.Or(err, <-unpacked)
}

// copyPart copies a part of a blob whose content has been hashed.
func (st *store) copyPart(w io.Writer, at place, size int64) error {
	file, ok := st.whole.Load(at.Blob)
	if !ok {
		path, err := st.blob(at.Blob)
		if err != nil {
			return err
		}
		file, _ = st.whole.LoadOrStore(at.Blob, path)
	}
	f, err := os.Open(file.(string))
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	n, err := io.Copy(w, io.NewSectionReader(f, at.Offset, size))
	if err == nil && n < size {
		err = fs.ErrNotExist
	}
	return err
}

func (st *store) unpack(w io.Writer, r io.Reader) error {
	z, err := st.by.reader(r)
	if err != nil {
		return fmt.Errorf("unpack segment: %w", err)
	}
	defer z.Close() //nolint:errcheck // opened for reading
	if _, err := io.Copy(w, z); err != nil {
		return fmt.Errorf("unpack segment: %w", err)
	}
	return nil
}
