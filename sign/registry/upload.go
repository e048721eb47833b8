package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/hardstand/hardstand/sign"
)

// source is a blob to send. open may be called more than once: a connection that
// broke has read part of it.
type source struct {
	digest v1.Hash
	size   int64
	open   func() (io.ReadCloser, error)
}

func bytesOf(l sign.Layer) (source, error) {
	d, err := describe(l)
	return source{d.Digest, d.Size, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(l.Data)), nil }}, err
}

func contentOf(l v1.Layer) (source, error) {
	digest, err := l.Digest()
	if err != nil {
		return source{}, err
	}
	size, err := l.Size()
	return source{digest, size, l.Compressed}, err
}

// uploadMissing makes a blob present; a blob that is already there, or that the
// registry can take from its other repository, is not sent.
func (r *Repository) uploadMissing(ctx context.Context, s source) error {
	there, err := r.hasBlob(ctx, s.digest, s.size)
	if err != nil || there {
		return err
	}
	return r.uploadNew(ctx, s)
}

// uploadNew sends a blob that nobody has yet, such as a signature: OCI
// distribution-spec, "POST then PUT", or a single POST for a small one.
func (r *Repository) uploadNew(ctx context.Context, s source) error {
	err := r.repeat(ctx, func() error {
		location, err := r.startUpload(ctx, s)
		if err != nil || location == nil {
			return err
		}
		q := location.Query()
		q.Set("digest", s.digest.String())
		location.RawQuery = q.Encode()
		resp, err := r.send(ctx, http.MethodPut, location.String(), s)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		return transport.CheckError(resp, http.StatusCreated)
	})
	if err != nil {
		return fmt.Errorf("upload blob to %s: %w", r.name, err)
	}
	return nil
}

// maxPosted is the size up to which a blob goes along with the first request
// before it is known whether the registry takes it: what is wasted if not.
const maxPosted = 4 << 10 // bytes

// startUpload returns where to send the blob; nil means that it is there now.
func (r *Repository) startUpload(ctx context.Context, s source) (*url.URL, error) {
	begin := r.url("blobs", "uploads") + "/"
	known := r.posts.Load()
	post := s.size > 0 && r.mountFrom.RepositoryStr() == "" && (known == yes || known == unknown && s.size <= maxPosted)
	var body source
	switch {
	case r.mountFrom.RepositoryStr() != "":
		begin += "?" + url.Values{"mount": {s.digest.String()}, "from": {r.mountFrom.RepositoryStr()}}.Encode()
	case post:
		begin += "?" + url.Values{"digest": {s.digest.String()}}.Encode()
		body = s
	}
	resp, err := r.send(ctx, http.MethodPost, begin, body)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if post && takesNoPost(resp.StatusCode) {
		r.posts.Store(no)
		return r.startUpload(ctx, s)
	}
	if err := transport.CheckError(resp, http.StatusCreated, http.StatusAccepted); err != nil {
		return nil, err
	}
	if post {
		r.posts.Store(map[bool]ability{true: yes, false: no}[resp.StatusCode == http.StatusCreated])
	}
	if resp.StatusCode == http.StatusCreated {
		return nil, nil
	}
	location, err := resp.Location()
	if err != nil {
		return nil, fmt.Errorf("start upload: %w", err)
	}
	return location, nil
}

// takesNoPost recognises registries that refuse a POST with a blob instead of
// taking it for the beginning of an upload, as the specification asks.
func takesNoPost(status int) bool {
	switch status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType, http.StatusNotImplemented:
		return true
	}
	return false
}

func (r *Repository) send(ctx context.Context, method, address string, s source) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	if s.size > 0 {
		if req.Body, err = s.open(); err != nil {
			return nil, err
		}
		req.GetBody, req.ContentLength = s.open, s.size
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	return r.http.Do(req)
}
