package osv

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Options say where a database is and what is accepted as one.
type Options struct {
	// Location is a directory, a zip, an index, an http or https address of a
	// mirror or of a zip, oci://REFERENCE, or oci:DIRECTORY.
	Location string
	// SHA256, hex, is what the database must be: of a zip, its digest; of an
	// index, the digest that making it printed; of an OCI artefact, that of
	// its manifest; of a directory or mirror, that of its SHA256SUMS file,
	// which then vouches for the rest. Empty accepts any zip and directory.
	SHA256 string
	// MaxAge is how long ago the newest entry of an ecosystem may have been
	// modified; 0 is any time.
	MaxAge time.Duration
	Now    time.Time
	// IndexKey authenticates indexes made on this machine; nil accepts an
	// index only by SHA256.
	IndexKey []byte
	Client   *http.Client // nil means a client with limits
	Artefact Artefact     // how OCI artefacts are fetched; nil refuses them
}

// Artefact fetches the files of an OCI artefact by their titles, verified
// against the manifest's digests, and the digest of the manifest itself, hex.
type Artefact func(ctx context.Context, location string) (files map[string]func() (io.ReadCloser, error), sha256 string, err error)

// ErrStale is wrapped when a database is older than it may be.
var ErrStale = errors.New("the database is too old")

// Database is an opened database.
type Database struct {
	options Options
	source  source
}

// source is where a database's files are.
type source interface {
	ask(ctx context.Context, q Query) (Answer, error)
	close() error
}

// Open finds a database. That something is there, and that it is what SHA256
// says, is known afterwards; what is in it is known after Ask.
func Open(ctx context.Context, o Options) (*Database, error) {
	o.SHA256 = strings.TrimPrefix(strings.ToLower(o.SHA256), "sha256:")
	s, err := find(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	return &Database{o, s}, nil
}

func find(ctx context.Context, o Options) (source, error) {
	switch scheme, _, _ := strings.Cut(o.Location, ":"); scheme {
	case "":
		return nil, errors.New("no location given")
	case "http", "https":
		return openMirror(ctx, o)
	case "oci":
		return openArtefact(ctx, o)
	}
	info, err := os.Stat(o.Location)
	if err != nil {
		return nil, err
	}
	switch {
	case info.IsDir():
		return openDirectory(o)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", o.Location)
	}
	return openFile(o)
}

// Close gives back what the database holds open.
func (d *Database) Close() error { return d.source.close() }

// Ask answers a query, or says why the database cannot.
func (d *Database) Ask(ctx context.Context, q Query) (Answer, error) {
	a, err := d.source.ask(ctx, q)
	if err != nil {
		return a, fmt.Errorf("ask about %s: %w", q.Ecosystem, err)
	}
	if age := d.options.Now.Sub(a.Newest); d.options.MaxAge > 0 && age > d.options.MaxAge {
		return a, fmt.Errorf("ask about %s: %w: the newest entry of %s is from %s, %.0f hours ago, and %.0f are allowed: fetch a newer one",
			q.Ecosystem, ErrStale, a.Origin, a.Newest.Format(time.RFC3339), age.Hours(), d.options.MaxAge.Hours())
	}
	return a, nil
}

// files is a database of several files, found by name.
type files struct {
	location string
	// open returns a file, or an error that wraps fs.ErrNotExist.
	open func(ctx context.Context, name string) (io.ReadCloser, error)
	sums map[string]string // by SHA256SUMS; nil where it is not asked for
	dir  *os.Root          // of a directory only
}

func (f *files) close() error {
	if f.dir == nil {
		return nil
	}
	return f.dir.Close()
}

// ask looks for <Ecosystem>/all.zip, and in a directory also for unpacked
// entries and for the layout of the Go vulnerability database.
func (f *files) ask(ctx context.Context, q Query) (Answer, error) {
	name := q.Ecosystem + "/all.zip"
	data, err := f.read(ctx, name)
	if err == nil {
		c, err := zipContainer(f.location+"/"+name, data)
		if err != nil {
			return Answer{}, err
		}
		return c.ask(ctx, q)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return Answer{}, err
	}
	if f.dir == nil || f.sums != nil { // nothing vouches for single files
		return Answer{}, fmt.Errorf("the database %s has no %s: the ecosystem is in the inventory and must be in the database", f.location, name)
	}
	places := []string{q.Ecosystem}
	if q.Ecosystem == "Go" {
		places = append(places, "ID")
	}
	for _, place := range places {
		c, err := dirContainer(f.location+"/"+place, f.dir, place)
		if err == nil {
			return c.ask(ctx, q)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return Answer{}, err
		}
	}
	return Answer{}, fmt.Errorf("the database %s has neither %s nor entries in %s/: the ecosystem is in the inventory and must be in the database",
		f.location, name, q.Ecosystem)
}

// read returns a file whose digest holds, where one is known.
func (f *files) read(ctx context.Context, name string) ([]byte, error) {
	r, err := f.open(ctx, name)
	if err != nil {
		return nil, err
	}
	defer r.Close() //nolint:errcheck // opened for reading
	data, err := readFile(r, f.location+"/"+name)
	if err != nil || f.sums == nil {
		return data, err
	}
	want, ok := f.sums[name]
	if !ok {
		return nil, fmt.Errorf("database %s: SHA256SUMS does not list %s", f.location, name)
	}
	return data, compare(f.location+"/"+name, data, want)
}

// pin reads SHA256SUMS, whose digest must be want, if one is asked for.
func (f *files) pin(ctx context.Context, want string) error {
	if want == "" {
		return nil
	}
	data, err := f.read(ctx, "SHA256SUMS")
	if err != nil {
		return fmt.Errorf("a digest is asked for, and %s needs a SHA256SUMS file for that: %w", f.location, err)
	}
	if err := compare(f.location+"/SHA256SUMS", data, want); err != nil {
		return err
	}
	f.sums = map[string]string{}
	for line := range strings.Lines(string(data)) {
		sum, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok {
			f.sums[strings.TrimPrefix(strings.TrimLeft(name, " *"), "./")] = sum
		}
	}
	return nil
}

func readFile(r io.Reader, origin string) ([]byte, error) {
	var buf bytes.Buffer
	if f, ok := r.(*os.File); ok { // growing step by step costs more than reading
		if info, err := f.Stat(); err == nil {
			buf.Grow(int(min(info.Size(), MaxFile)) + bytes.MinRead)
		}
	}
	_, err := buf.ReadFrom(io.LimitReader(r, MaxFile+1))
	data := buf.Bytes()
	if err != nil {
		return nil, fmt.Errorf("read database %s: %w", origin, err)
	}
	if len(data) > MaxFile {
		return nil, fmt.Errorf("read database %s: %w", origin, limitError("its size", MaxFile))
	}
	return data, nil
}

// compare checks a digest.
func compare(origin string, data []byte, want string) error {
	sum := sha256.Sum256(data)
	if got := hex.EncodeToString(sum[:]); subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1 {
		return fmt.Errorf("the database %s has the digest sha256:%s, and %s is asked for", origin, got, clip(want))
	}
	return nil
}

func openDirectory(o Options) (source, error) {
	root, err := os.OpenRoot(o.Location)
	if err != nil {
		return nil, err
	}
	f := &files{location: filepath.Clean(o.Location), dir: root}
	f.open = func(_ context.Context, name string) (io.ReadCloser, error) {
		file, err := openRegular(root, filepath.FromSlash(name))
		if err != nil {
			return nil, err // a nil *os.File must not become a reader
		}
		return file, nil
	}
	if err := f.pin(context.Background(), o.SHA256); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return f, nil
}

// openMirror opens an address: a zip by its suffix, else a tree of
// <Ecosystem>/all.zip.
func openMirror(ctx context.Context, o Options) (source, error) {
	base, err := url.Parse(o.Location)
	if err != nil {
		return nil, err
	}
	client := o.Client
	if client == nil {
		client = newClient()
	}
	if strings.HasSuffix(base.Path, ".zip") {
		r, err := get(ctx, client, base)
		if err != nil {
			return nil, err
		}
		defer r.Close() //nolint:errcheck // opened for reading
		data, err := readFile(r, base.Redacted())
		if err != nil {
			return nil, err
		}
		return single(base.Redacted(), data, o.SHA256)
	}
	f := &files{location: strings.TrimSuffix(base.Redacted(), "/")}
	f.open = func(ctx context.Context, name string) (io.ReadCloser, error) {
		return get(ctx, client, base.JoinPath(path.Clean(name)))
	}
	return f, f.pin(ctx, o.SHA256)
}

// newClient returns a client that gives up, and that is not led from TLS to
// plain text.
func newClient() *http.Client {
	return &http.Client{Timeout: 10 * time.Minute, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) >= 5 {
			return errors.New("more than 5 redirects")
		}
		if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
			return errors.New("a redirect from https to " + req.URL.Scheme)
		}
		return nil
	}}
}

func get(ctx context.Context, client *http.Client, u *url.URL) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	err = fmt.Errorf("get %s: %s", u.Redacted(), resp.Status)
	if resp.StatusCode == http.StatusNotFound {
		err = fmt.Errorf("get %s: %w", u.Redacted(), fs.ErrNotExist)
	}
	return nil, errors.Join(err, resp.Body.Close())
}

func openArtefact(ctx context.Context, o Options) (source, error) {
	if o.Artefact == nil {
		return nil, errors.New("OCI artefacts are not supported here")
	}
	titles, sum, err := o.Artefact(ctx, o.Location)
	if err != nil {
		return nil, err
	}
	if o.SHA256 != "" && subtle.ConstantTimeCompare([]byte(o.SHA256), []byte(sum)) != 1 {
		return nil, fmt.Errorf("the artefact %s has the digest sha256:%s, and %s is asked for", o.Location, sum, clip(o.SHA256))
	}
	return &files{location: o.Location, open: func(_ context.Context, name string) (io.ReadCloser, error) {
		open, ok := titles[name]
		if !ok {
			return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
		}
		return open()
	}}, nil
}

// openFile opens a zip or an index, told apart by their first bytes.
func openFile(o Options) (source, error) {
	f, err := os.Open(o.Location)
	if err != nil {
		return nil, err
	}
	magic := make([]byte, len(indexMagic))
	if n, err := f.ReadAt(magic, 0); err == nil && string(magic[:n]) == indexMagic {
		return openIndex(f, o)
	}
	defer f.Close() //nolint:errcheck // opened for reading
	data, err := readFile(f, o.Location)
	if err != nil {
		return nil, err
	}
	return single(o.Location, data, o.SHA256)
}

// one is a database of one zip that is asked about every ecosystem.
type one struct{ *container }

func (one) close() error { return nil }

func single(origin string, data []byte, want string) (source, error) {
	if want != "" {
		if err := compare(origin, data, want); err != nil {
			return nil, err
		}
	}
	c, err := zipContainer(origin, data)
	return one{c}, err
}
