package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/hardstand/hardstand/sign"
)

const (
	maxManifest      = 4 << 20 // bytes, as in the OCI distribution-spec
	maxReferrersPage = 32      // pages of one list of referrers
)

// manifestTypes is what images, indexes and signature artifacts come as.
var manifestTypes = strings.Join([]string{
	string(types.OCIImageIndex), string(types.OCIManifestSchema1),
	string(types.DockerManifestList), string(types.DockerManifestSchema2),
}, ", ")

// Repository is a connection to one repository. It implements [sign.Source]
// and is safe for concurrent use.
type Repository struct {
	name   name.Repository
	remote Remote
	http   *http.Client
	count  *counter
	// mountFrom is another repository of the registry that may hold the blobs,
	// or zero.
	mountFrom name.Repository
	posts     atomic.Int32 // an ability: does it take a blob with the first request
	api       struct {     // does it have the referrers API
		mu  sync.Mutex
		has ability
	}

	empty struct { // the configuration that all bundles share
		mu   sync.Mutex
		sent bool
	}

	mu        sync.Mutex
	manifests map[string]sign.Manifest // read and not written since, by digest
}

// ability is what is known of what a registry can do.
type ability = int32

const (
	unknown ability = iota
	yes
	no
)

var _ sign.Source = (*Repository)(nil)

// Open connects to a repository for reading.
func Open(ctx context.Context, repo name.Repository, r Remote) (*Repository, error) {
	return open(ctx, repo, r, repo.Scope(transport.PullScope))
}

// openForPush connects for writing, and for mounting blobs of other
// repositories of the same registry.
func openForPush(ctx context.Context, repo name.Repository, r Remote, mountFrom ...name.Repository) (*Repository, error) {
	scopes := []string{repo.Scope(transport.PushScope)}
	var from name.Repository
	for _, m := range mountFrom {
		if m.RegistryStr() == repo.RegistryStr() && m != repo {
			from = m
			scopes = append(scopes, m.Scope(transport.PullScope))
			break // one is asked for each blob, and one is enough
		}
	}
	opened, err := open(ctx, repo, r, scopes...)
	if err == nil {
		opened.mountFrom = from
	}
	return opened, err
}

func open(ctx context.Context, repo name.Repository, r Remote, scopes ...string) (*Repository, error) {
	rt, count, err := connect(ctx, repo, r, scopes...)
	if err != nil {
		return nil, err
	}
	return &Repository{name: repo, remote: r, count: count, http: &http.Client{Transport: rt}, manifests: map[string]sign.Manifest{}}, nil
}

// Name is the repository's name.
func (r *Repository) Name() name.Repository { return r.name }

// Traffic counts the requests made so far.
func (r *Repository) Traffic() Traffic { return r.count.traffic() }

func (r *Repository) url(parts ...string) string {
	u := url.URL{Scheme: r.name.Scheme(), Host: r.name.RegistryStr(),
		Path: "/v2/" + r.name.RepositoryStr() + "/" + strings.Join(parts, "/")}
	return u.String()
}

// Manifest implements [sign.Source]. What was read once is not read again, unless
// it has been written since.
func (r *Repository) Manifest(ctx context.Context, digest v1.Hash) (sign.Manifest, error) {
	r.mu.Lock()
	m, ok := r.manifests[digest.String()]
	r.mu.Unlock()
	if ok {
		return m, nil
	}
	return r.getManifest(ctx, digest.String())
}

// Tagged implements [sign.Source]. A tag is always read.
func (r *Repository) Tagged(ctx context.Context, tag string) (sign.Manifest, error) {
	return r.getManifest(ctx, tag)
}

// remember keeps a manifest under the digest that its bytes have, whatever was
// asked for.
func (r *Repository) remember(m sign.Manifest) {
	digest, _, err := v1.SHA256(bytes.NewReader(m.Raw))
	if err != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.manifests[digest.String()] = m
}

func (r *Repository) forget(reference string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.manifests, reference)
}

func (r *Repository) getManifest(ctx context.Context, reference string) (sign.Manifest, error) {
	resp, err := r.get(ctx, r.url("manifests", reference), manifestTypes, http.StatusOK)
	if err != nil {
		return sign.Manifest{}, err
	}
	raw, err := readBody(resp, maxManifest)
	if err != nil {
		return sign.Manifest{}, fmt.Errorf("read manifest %s of %s: %w", reference, r.name, err)
	}
	m := sign.Manifest{MediaType: mediaType(resp), Raw: raw}
	r.remember(m)
	return m, nil
}

func mediaType(resp *http.Response) types.MediaType {
	mt, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return types.MediaType(mt)
}

// get sends a GET; a 404 becomes [sign.ErrNotFound].
func (r *Repository) get(ctx context.Context, address, accept string, codes ...int) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", address, err)
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read from %s: %w", r.name, err)
	}
	if err := transport.CheckError(resp, codes...); err != nil {
		_ = resp.Body.Close()
		if isNotFound(err) {
			return nil, fmt.Errorf("%w: %w", sign.ErrNotFound, err)
		}
		return nil, fmt.Errorf("read from %s: %w", r.name, err)
	}
	return resp, nil
}

func readBody(resp *http.Response, limit int64) (data []byte, err error) {
	defer func() {
		if closing := resp.Body.Close(); err == nil {
			err = closing
		}
	}()
	if resp.ContentLength > limit {
		return nil, fmt.Errorf("%d bytes, limit %d", resp.ContentLength, limit)
	}
	var buf bytes.Buffer
	if resp.ContentLength > 0 {
		buf.Grow(int(resp.ContentLength) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(io.LimitReader(resp.Body, limit+1)); err != nil {
		return nil, err
	}
	if int64(buf.Len()) > limit {
		return nil, fmt.Errorf("more than %d bytes", limit)
	}
	return buf.Bytes(), nil
}

// Blob implements [sign.Source].
func (r *Repository) Blob(ctx context.Context, digest v1.Hash) (io.ReadCloser, error) {
	resp, err := r.get(ctx, r.url("blobs", digest.String()), "", http.StatusOK)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// Referrers implements [sign.Source], through the referrers API or, where the
// registry has none, the tag that stands in for it.
func (r *Repository) Referrers(ctx context.Context, digest v1.Hash) ([]v1.Descriptor, error) {
	list, _, err := r.referrers(ctx, digest)
	return list, err
}

// referrers also reports whether the registry has the API. It is asked about
// manifests that are there: an answer that it has none then holds for all of
// them, and is not asked for again.
func (r *Repository) referrers(ctx context.Context, digest v1.Hash) (list []v1.Descriptor, api bool, err error) {
	list, api, err = r.askReferrersAPI(ctx, digest)
	if err != nil || api {
		return list, api, err
	}
	m, err := r.Tagged(ctx, sign.ReferrersTag(digest))
	if errors.Is(err, sign.ErrNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	list, err = parseReferrers(m.Raw)
	return list, false, err
}

// askReferrersAPI lets one question find out whether there is an API, and the
// others wait for it.
func (r *Repository) askReferrersAPI(ctx context.Context, digest v1.Hash) (list []v1.Descriptor, api bool, err error) {
	r.api.mu.Lock()
	switch r.api.has {
	case no:
		r.api.mu.Unlock()
		return nil, false, nil
	case yes:
		r.api.mu.Unlock()
		return r.referrersAPI(ctx, digest)
	}
	defer r.api.mu.Unlock()
	list, api, err = r.referrersAPI(ctx, digest)
	switch {
	case err != nil:
	case api:
		r.api.has = yes
	default:
		r.api.has = no
	}
	return list, api, err
}

func (r *Repository) referrersAPI(ctx context.Context, digest v1.Hash) (list []v1.Descriptor, api bool, err error) {
	next := r.url("referrers", digest.String())
	for range maxReferrersPage {
		resp, err := r.get(ctx, next, string(types.OCIImageIndex),
			http.StatusOK, http.StatusNotFound, http.StatusBadRequest, http.StatusNotAcceptable, http.StatusMethodNotAllowed)
		if err != nil {
			return nil, false, err
		}
		raw, err := readBody(resp, maxManifest)
		if err != nil {
			return nil, false, fmt.Errorf("list referrers of %s: %w", digest, err)
		}
		if resp.StatusCode != http.StatusOK || mediaType(resp) != types.OCIImageIndex {
			return nil, false, nil
		}
		page, err := parseReferrers(raw)
		if err != nil {
			return nil, false, err
		}
		list = append(list, page...)
		if next, err = nextPage(resp); err != nil || next == "" {
			return list, true, err
		}
	}
	return nil, false, fmt.Errorf("list referrers of %s: more than %d pages", digest, maxReferrersPage)
}

func parseReferrers(raw []byte) ([]v1.Descriptor, error) {
	var index v1.IndexManifest
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, fmt.Errorf("parse list of referrers: %w", err)
	}
	return index.Manifests, nil
}

// nextPage reads the Link header, RFC 8288, of a list in pages.
func nextPage(resp *http.Response) (string, error) {
	link := resp.Header.Get("Link")
	target, params, ok := strings.Cut(strings.TrimPrefix(link, "<"), ">")
	if !ok || !strings.Contains(params, `rel="next"`) && !strings.Contains(params, "rel=next") {
		return "", nil
	}
	u, err := sameHost(resp.Request.URL, target)
	if err != nil {
		return "", err
	}
	return u.String(), nil
}

// resolve returns the digest of what a tag names, hashed from the bytes; found
// is false when the tag does not exist.
func (r *Repository) resolve(ctx context.Context, tag string) (digest v1.Hash, found bool, err error) {
	m, err := r.Tagged(ctx, tag)
	if errors.Is(err, sign.ErrNotFound) {
		return v1.Hash{}, false, nil
	}
	if err != nil {
		return v1.Hash{}, false, fmt.Errorf("read tag %s: %w", r.name.Tag(tag), err)
	}
	digest, _, err = v1.SHA256(bytes.NewReader(m.Raw))
	return digest, true, err
}

// putDigest writes a manifest under its digest. Repeating that is harmless.
func (r *Repository) putDigest(ctx context.Context, m sign.Manifest) error {
	digest, _, err := v1.SHA256(bytes.NewReader(m.Raw))
	if err != nil {
		return err
	}
	return r.repeat(ctx, func() error { return r.put(ctx, digest.String(), m, nil) })
}

// repeat runs a harmless write until it works or cannot.
func (r *Repository) repeat(ctx context.Context, write func() error) error {
	for attempt := 1; ; attempt++ {
		err := write()
		if err == nil || attempt >= r.remote.attempts() || !passingError(err) {
			return err
		}
		if err := sleep(ctx, pause(r.remote.backoff(), attempt)); err != nil {
			return err
		}
	}
}

// put sends one PUT of a manifest, once.
func (r *Repository) put(ctx context.Context, reference string, m sign.Manifest, header http.Header) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, r.url("manifests", reference), bytes.NewReader(m.Raw))
	if err != nil {
		return fmt.Errorf("write manifest %s: %w", reference, err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	req.Header.Set("Content-Type", string(m.MediaType))
	resp, err := r.http.Do(req)
	if err != nil {
		return fmt.Errorf("write manifest %s to %s: %w", reference, r.name, err)
	}
	defer func() { _ = resp.Body.Close() }()
	r.forget(reference)
	if err := transport.CheckError(resp, http.StatusOK, http.StatusCreated, http.StatusAccepted); err != nil {
		return fmt.Errorf("write manifest %s to %s: %w", reference, r.name, err)
	}
	return nil
}

// mediaTypeOfContent asks the content itself first.
func mediaTypeOfContent(c any, raw []byte) types.MediaType {
	if t, ok := c.(interface {
		MediaType() (types.MediaType, error)
	}); ok {
		if mt, err := t.MediaType(); err == nil {
			return mt
		}
	}
	return mediaTypeOf(raw)
}

// mediaTypeOf reads what a manifest says of itself; OCI is the default.
func mediaTypeOf(raw []byte) types.MediaType {
	var m struct {
		MediaType types.MediaType `json:"mediaType"`
	}
	if json.Unmarshal(raw, &m) != nil || m.MediaType == "" {
		return types.OCIManifestSchema1
	}
	return m.MediaType
}

// delete removes a tag, or a manifest by its digest. What is gone already is
// fine.
func (r *Repository) delete(ctx context.Context, reference string) error {
	return r.repeat(ctx, func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodDelete, r.url("manifests", reference), nil)
		if err != nil {
			return fmt.Errorf("delete %s: %w", reference, err)
		}
		resp, err := r.http.Do(req)
		if err != nil {
			return fmt.Errorf("delete %s of %s: %w", reference, r.name, err)
		}
		defer func() { _ = resp.Body.Close() }()
		r.forget(reference)
		if err := transport.CheckError(resp, http.StatusAccepted, http.StatusOK, http.StatusNoContent, http.StatusNotFound); err != nil {
			return fmt.Errorf("delete %s of %s: %w", reference, r.name, err)
		}
		return nil
	})
}
