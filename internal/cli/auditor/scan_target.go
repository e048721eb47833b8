package auditor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/scan/inventory"
	"github.com/hardstand/hardstand/internal/cli"
)

// list makes the inventory of whatever the target is.
func (o *scanOptions) list(ctx context.Context, f *cli.Frame, arg string, opts inventory.Options) (*inventory.Inventory, error) {
	if o.image != nil {
		return inventory.FromImage(ctx, arg, o.image, opts)
	}
	t, err := locate(arg)
	if err != nil {
		return nil, err
	}
	if t.kind == audit.Image {
		img, done, err := openImage(ctx, f, t.arg, o.platform)
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", arg, err)
		}
		defer done()
		return inventory.FromImage(ctx, arg, img, opts)
	}
	info, err := os.Stat(arg)
	switch {
	case err != nil:
		return nil, err
	case info.IsDir():
		return inventory.FromDirectory(ctx, arg, opts)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("scan %s: it is no regular file", arg)
	case filepath.Base(arg) == "go.mod":
		return inventory.FromModule(arg)
	}
	head := make([]byte, 4096)
	file, err := os.Open(arg)
	if err != nil {
		return nil, err
	}
	n, err := io.ReadFull(file, head)
	if err = errors.Join(ignoreShort(err), file.Close()); err != nil {
		return nil, fmt.Errorf("read %s: %w", arg, err)
	}
	switch head = head[:n]; {
	case strings.HasPrefix(strings.TrimSpace(string(head)), "{"):
		data, err := readLimited(arg, inventory.MaxSBOM)
		if err != nil {
			return nil, err
		}
		return inventory.FromSBOM(arg, data)
	case strings.HasSuffix(arg, ".tar"):
		return nil, cli.Usagef("%s: write docker-archive:%s for an image", arg, arg)
	}
	return inventory.FromProgram(arg, opts)
}

func ignoreShort(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}

// openImage opens one platform of an image. done gives back what it holds.
func openImage(ctx context.Context, f *cli.Frame, arg, platform string) (img v1.Image, done func(), err error) {
	o, err := openPinned(ctx, f, arg, platform)
	return o.image, o.done, err
}

// opened is one platform of an image.
type opened struct {
	image v1.Image
	// digest is what pulling names: of the index where there is one.
	digest v1.Hash
	// single says that nothing but this platform has the digest.
	single bool
	// local says that no registry knows the digest: an archive's layers are
	// compressed when it is pushed, by whoever does it.
	local bool
	done  func()
}

// openPinned opens one platform of an image and keeps what it is pulled by.
func openPinned(ctx context.Context, f *cli.Frame, arg, platform string) (opened, error) {
	want := v1.Platform{OS: "linux", Architecture: runtime.GOARCH}
	if platform != "" {
		p, err := v1.ParsePlatform(platform)
		if err != nil {
			return opened{}, cli.Usagef("--platform: %v", err)
		}
		want = *p
	}
	o := opened{done: func() {}}
	var err error
	switch scheme, rest, _ := strings.Cut(arg, ":"); scheme {
	case "oci":
		idx, err := layout.ImageIndexFromPath(rest)
		if err != nil {
			return o, err
		}
		if o.image, err = choose(idx, want, platform != "", 0); err != nil {
			return o, err
		}
		return o.inLayout(idx)
	case "docker-archive":
		o.local = true
		o.image, err = tarball.ImageFromPath(rest, nil)
		return o, err
	case "docker":
		o.local = true
		o.image, o.done, err = fromDaemon(ctx, f.Getenv("DOCKER_HOST"), rest)
		return o, err
	}
	ref, err := name.ParseReference(arg)
	if err != nil {
		return o, cli.Usagef("%v", err)
	}
	d, err := remote.Get(ref, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithPlatform(want))
	if err != nil {
		return o, err
	}
	o.digest, o.single = d.Digest, true
	if d.MediaType.IsIndex() {
		idx, err := d.ImageIndex()
		if err != nil {
			return o, err
		}
		if o.single, err = alone(idx); err != nil {
			return o, err
		}
	}
	o.image, err = d.Image()
	return o, err
}

// inLayout finds what an image of a layout is pulled by once it is pushed: the
// layout's only index, else the image.
func (o opened) inLayout(idx v1.ImageIndex) (opened, error) {
	m, err := idx.IndexManifest()
	if err != nil {
		return o, err
	}
	if len(m.Manifests) == 1 && m.Manifests[0].MediaType.IsIndex() {
		o.digest = m.Manifests[0].Digest
		below, err := idx.ImageIndex(o.digest)
		if err != nil {
			return o, err
		}
		o.single, err = alone(below)
		return o, err
	}
	o.single = true
	o.digest, err = o.image.Digest()
	return o, err
}

// alone reports whether an index has one platform only.
func alone(idx v1.ImageIndex) (bool, error) {
	m, err := idx.IndexManifest()
	if err != nil {
		return false, err
	}
	n := 0
	for _, d := range m.Manifests {
		if d.MediaType.IsIndex() {
			return false, nil
		}
		if d.MediaType.IsImage() && d.Annotations["vnd.docker.reference.type"] == "" {
			n++
		}
	}
	return n == 1, nil
}

// choose finds a platform in an index, also in one below it. An index of one
// image needs no choice, unless a platform was asked for.
func choose(idx v1.ImageIndex, want v1.Platform, asked bool, depth int) (v1.Image, error) {
	m, err := idx.IndexManifest()
	if err != nil {
		return nil, err
	}
	var images []v1.Descriptor
	for _, d := range m.Manifests {
		switch {
		case d.MediaType.IsIndex() && depth < 4:
			below, err := idx.ImageIndex(d.Digest)
			if err != nil {
				return nil, err
			}
			if img, err := choose(below, want, asked, depth+1); err == nil {
				return img, nil
			} else if len(m.Manifests) == 1 {
				return nil, err
			}
		case d.MediaType.IsImage() && d.Annotations["vnd.docker.reference.type"] == "":
			images = append(images, d)
		}
	}
	var have []string
	for _, d := range images {
		if d.Platform == nil && len(images) == 1 || d.Platform != nil && d.Platform.Satisfies(want) {
			return idx.Image(d.Digest)
		}
		if d.Platform != nil {
			have = append(have, d.Platform.String())
		}
	}
	if len(images) == 1 && !asked {
		return idx.Image(images[0].Digest)
	}
	return nil, fmt.Errorf("no image for %s in it, only for %s: choose one with --platform", want, strings.Join(have, ", "))
}

// maxSaved bounds an image that a daemon hands over, in bytes.
const maxSaved = 32 << 30

// fromDaemon saves an image of a Docker daemon to a temporary file and opens
// it.
func fromDaemon(ctx context.Context, host, ref string) (v1.Image, func(), error) {
	if host == "" {
		host = "unix:///var/run/docker.sock"
	}
	u, err := url.Parse(host)
	if err != nil || u.Scheme != "unix" {
		return nil, nil, fmt.Errorf("DOCKER_HOST is %q, and only a unix socket is spoken to: save the image and scan docker-archive:FILE", host)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", u.Path)
	}}}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/images/"+url.PathEscape(ref)+"/get", nil)
	if err != nil {
		return nil, nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end, or given up
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<12)) // for the message only
		return nil, nil, fmt.Errorf("docker answers %s: %s", resp.Status, strings.TrimSpace(string(text)))
	}
	file, err := os.CreateTemp("", "hardstand-image-*.tar")
	if err != nil {
		return nil, nil, err
	}
	done := func() { _ = os.Remove(file.Name()) } // it is in the system's temporary directory
	n, err := io.Copy(file, io.LimitReader(resp.Body, maxSaved+1))
	if err == nil && n > maxSaved {
		err = fmt.Errorf("the image has more than %d bytes", int64(maxSaved))
	}
	if err = errors.Join(err, file.Close()); err != nil {
		done()
		return nil, nil, err
	}
	img, err := tarball.ImageFromPath(file.Name(), nil)
	if err != nil {
		done()
		return nil, nil, err
	}
	return img, done, nil
}
