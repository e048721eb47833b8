// Package runtime writes hardened run-time configuration for an image: docker
// run, Compose, Kubernetes, ECS, Falco rules and a seccomp profile.
//
// Everything is derived from the image's own config and files and from
// Options; the same input gives the same bytes. It must not start anything,
// ask a registry, or put a value into a file that was not asked for.
package runtime

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Image is what the configuration of an image depends on.
type Image struct {
	Reference    string // what a platform pulls, with a digest where there is one
	Architecture string
	UID, GID     int
	Entrypoint   []string
	Command      []string
	Env          []string
	Ports        []Port
	Health       []string // arguments of the health check in exec form, without CMD
	HealthFault  string   // why the image's own health check is not used
	Volumes      []string
	Probe        string // path of hardstand's probe, empty if there is none
}

// Port is a port that the program listens on.
type Port struct {
	Number   int
	Protocol string // tcp or udp
}

func (p Port) String() string { return fmt.Sprintf("%d/%s", p.Number, p.Protocol) }

// nonroot is the user of images that name none by number.
const nonroot = 65532

const probePath = "/bin/probe"

// Limits of the image that is read.
const (
	maxEntries = 1 << 20
	maxBytes   = 32 << 30
	maxWords   = 1024
)

// Inspect reads an image's config, and its layers for the probe.
func Inspect(img v1.Image, reference string) (Image, error) {
	file, err := img.ConfigFile()
	if err != nil {
		return Image{}, fmt.Errorf("read config of the image: %w", err)
	}
	c := file.Config
	if len(c.Entrypoint)+len(c.Cmd)+len(c.Env)+len(c.ExposedPorts)+len(c.Volumes) > maxWords {
		return Image{}, fmt.Errorf("read config of the image: more than %d arguments, variables, ports and volumes", maxWords)
	}
	out := Image{Reference: reference, Architecture: file.Architecture, Entrypoint: c.Entrypoint, Command: c.Cmd, Env: c.Env}
	if len(c.Entrypoint)+len(c.Cmd) == 0 {
		return Image{}, errors.New("the image starts nothing: it has neither entry point nor command; wrap a program with hardstand wrap")
	}
	out.UID, out.GID = user(c.User)
	for p := range c.ExposedPorts {
		port, err := ParsePort(p)
		if err != nil {
			return Image{}, fmt.Errorf("read config of the image: %w", err)
		}
		out.Ports = append(out.Ports, port)
	}
	slices.SortFunc(out.Ports, func(a, b Port) int { return strings.Compare(a.String(), b.String()) })
	for v := range c.Volumes {
		out.Volumes = append(out.Volumes, path.Clean("/"+v))
	}
	slices.Sort(out.Volumes)
	if c.Healthcheck != nil {
		out.health(c.Healthcheck.Test)
	}
	has, err := hasFile(img, strings.TrimPrefix(probePath, "/"))
	if err != nil {
		return Image{}, err
	}
	if has {
		out.Probe = probePath
	}
	return out, nil
}

func (i *Image) health(test []string) {
	switch {
	case len(test) == 0 || test[0] == "NONE":
	case test[0] != "CMD" || len(test) < 2:
		i.HealthFault = "the image's health check needs a shell"
	case slices.Contains([]string{"sh", "bash", "busybox", "curl", "wget", "nc"}, path.Base(test[1])):
		i.HealthFault = "the image's health check runs " + path.Base(test[1])
	default:
		i.Health = test[1:]
	}
}

// user takes a numeric user that is not root; 65532 stands for every other.
func user(text string) (uid, gid int) {
	name, group, _ := strings.Cut(text, ":")
	uid, err := strconv.Atoi(name)
	if err != nil || uid <= 0 {
		return nonroot, nonroot
	}
	if gid, err = strconv.Atoi(group); err != nil || gid <= 0 {
		gid = uid
	}
	return uid, gid
}

// ParsePort reads 8080, 8080/tcp or 53/udp.
func ParsePort(text string) (Port, error) {
	number, protocol, ok := strings.Cut(text, "/")
	if !ok {
		protocol = "tcp"
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || n == 0 || protocol != "tcp" && protocol != "udp" {
		return Port{}, fmt.Errorf("%q is no port: write 8080, 8080/tcp or 53/udp", text)
	}
	return Port{int(n), protocol}, nil
}

// hasFile looks for a regular file in the newest layer that says anything of
// it.
func hasFile(img v1.Image, name string) (bool, error) {
	layers, err := img.Layers()
	if err != nil {
		return false, fmt.Errorf("read layers of the image: %w", err)
	}
	left := &limits{entries: maxEntries, bytes: maxBytes}
	for _, l := range slices.Backward(layers) {
		found, gone, err := left.find(l, name)
		if err != nil {
			return false, fmt.Errorf("read layers of the image: %w", err)
		}
		if found || gone {
			return found, nil
		}
	}
	return false, nil
}

type limits struct {
	entries int
	bytes   int64
}

func (l *limits) find(layer v1.Layer, name string) (found, gone bool, err error) {
	r, err := layer.Uncompressed()
	if err != nil {
		return false, false, err
	}
	defer r.Close() //nolint:errcheck // nothing was written
	counted := &io.LimitedReader{R: r, N: l.bytes}
	archive := tar.NewReader(counted)
	whiteout := path.Dir(name) + "/.wh." + path.Base(name)
	for {
		h, err := archive.Next()
		l.bytes = counted.N
		if l.entries--; l.entries < 0 || l.bytes <= 0 {
			return false, false, fmt.Errorf("more than %d files or %d bytes", maxEntries, int64(maxBytes))
		}
		if err == io.EOF {
			return found, gone, nil
		}
		if err != nil {
			return false, false, err
		}
		switch clean := strings.TrimPrefix(path.Clean("/"+h.Name), "/"); clean {
		case name, "usr/" + name: // /bin may be a link to /usr/bin
			found = h.Typeflag == tar.TypeReg && h.Mode&0o111 != 0 || h.Typeflag == tar.TypeLink
		case whiteout, path.Dir(name) + "/.wh..wh..opq", ".wh." + path.Dir(name):
			gone = true
		}
	}
}
