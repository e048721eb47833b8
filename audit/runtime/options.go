package runtime

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Options are what an image does not say. The zero value works.
type Options struct {
	Name          string   // of the container and everything around it; default: the repository's last part
	Namespace     string   // Kubernetes
	Memory        int64    // bytes; default 128 MiB
	CPU           int      // thousandths of a processor; default 500
	Processes     int      // default 100
	Ports         []Port   // default: what the image exposes
	Env           []string // NAME=VALUE, added to the image's
	Writable      []string // directories the program writes to; default /tmp
	WritableSize  int64    // bytes each; default 16 MiB
	Check         []string // arguments for the probe; default: the image's health check
	HTTPGet       string   // Kubernetes: a path for httpGet instead of the probe
	NoHealth      bool     // no health check is accepted
	Network       string   // Docker and Compose
	Seccomp       string   // Docker and Compose: file of a profile
	Replicas      int      // Kubernetes; default 1
	EC2           bool     // ECS on EC2 instead of Fargate
	ExecutionRole string   // ECS
	TaskRole      string   // ECS
	LogGroup      string   // ECS: CloudWatch
	Region        string   // ECS: of the log group
	Allow         []string // Falco: further programs that may run
	Decoys        []string // Falco: paths of decoys
	Tokens        []string // Falco: paths of credential files
}

// plan is options and image put together and checked.
type plan struct {
	Options
	image  Image
	health []string
}

var (
	label    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*=`)
)

// Smallest values that a container starts with.
const (
	minMemory = 6 << 20
	minCPU    = 10
)

func prepare(img Image, o Options) (*plan, error) {
	p := &plan{Options: o, image: img}
	p.defaults()
	if !label.MatchString(p.Name) {
		return nil, fmt.Errorf("%q cannot name a container everywhere: small letters, digits and dashes, at most 63; give another with --name", p.Name)
	}
	if p.Namespace != "" && !label.MatchString(p.Namespace) {
		return nil, fmt.Errorf("%q is no namespace: small letters, digits and dashes", p.Namespace)
	}
	if p.Memory < minMemory || p.CPU < minCPU || p.Processes < 1 || p.WritableSize < 4096 || p.Replicas < 1 {
		return nil, fmt.Errorf("the limits are too small to start anything: memory from %d bytes on, cpu from %d thousandths, one process, 4096 bytes to write, one replica", minMemory, minCPU)
	}
	for _, kv := range p.Env {
		if !variable.MatchString(kv) || strings.ContainsRune(kv, 0) {
			return nil, errors.New("a variable is written NAME=VALUE")
		}
	}
	for i, dir := range p.Writable {
		if !path.IsAbs(dir) || path.Clean(dir) == "/" || strings.ContainsAny(dir, ":,\x00\n") {
			return nil, fmt.Errorf("%q cannot be made writable: it must be an absolute directory other than /", dir)
		}
		p.Writable[i] = path.Clean(dir)
	}
	p.environment()
	return p, p.chooseHealth()
}

func (p *plan) defaults() {
	if p.Name == "" {
		p.Name = nameOf(p.image.Reference)
	}
	p.Memory = or(p.Memory, 128<<20)
	p.CPU = or(p.CPU, 500)
	p.Processes = or(p.Processes, 100)
	p.WritableSize = or(p.WritableSize, 16<<20)
	p.Replicas = or(p.Replicas, 1)
	if len(p.Ports) == 0 {
		p.Ports = p.image.Ports
	}
	p.Writable = slices.Clone(p.Writable)
	if len(p.Writable) == 0 {
		p.Writable = append([]string{"/tmp"}, p.image.Volumes...)
	}
	slices.Sort(p.Writable)
	p.Writable = slices.Compact(p.Writable)
}

func or[T int | int64](v, fallback T) T {
	if v == 0 {
		return fallback
	}
	return v
}

// environment tells Go programs how much memory there is, and the probe which
// port it is, unless somebody has.
func (p *plan) environment() {
	p.Env = slices.Clone(p.Env)
	if _, has := p.value("GOMEMLIMIT"); !has {
		p.Env = append(p.Env, fmt.Sprintf("GOMEMLIMIT=%d", p.Memory/10*9))
	}
	_, port := p.value("PORT")
	_, probe := p.value("PROBE_PORT")
	bare := len(p.Check) == 0 && len(p.image.Health) < 2
	if bare && !port && !probe && len(p.Ports) > 0 && p.Ports[0].Protocol == "tcp" && p.Ports[0].Number != 8080 {
		p.Env = append(p.Env, "PROBE_PORT="+strconv.Itoa(p.Ports[0].Number))
	}
	slices.Sort(p.Env)
}

func (p *plan) value(name string) (string, bool) {
	for _, kv := range slices.Concat(p.Options.Env, p.image.Env) {
		if k, v, _ := strings.Cut(kv, "="); k == name {
			return v, true
		}
	}
	return "", false
}

// errNoHealth is what an image gets that cannot say how it is.
var errNoHealth = errors.New("the image has no health check that works without a shell: build it with hardstand (its probe is /bin/probe), or accept that with --no-health")

func (p *plan) chooseHealth() error {
	switch {
	case len(p.Check) > 0 && p.image.Probe == "":
		return fmt.Errorf("the image has no %s that --check could be given to", probePath)
	case len(p.Check) > 0:
		p.health = append([]string{p.image.Probe}, p.Check...)
	case len(p.image.Health) > 0:
		p.health = p.image.Health
	case p.image.Probe != "":
		p.health = []string{p.image.Probe}
	case p.NoHealth || p.HTTPGet != "":
	case p.image.HealthFault != "":
		return fmt.Errorf("%s: %w", p.image.HealthFault, errNoHealth)
	default:
		return errNoHealth
	}
	return nil
}

// nameOf is the last part of a repository's name.
func nameOf(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	name := strings.ToLower(path.Base(ref))
	name, _, _ = strings.Cut(name, ":")
	name = strings.Map(func(r rune) rune {
		if r == '_' || r == '.' {
			return '-'
		}
		return r
	}, name)
	if !label.MatchString(name) {
		return "app"
	}
	return name
}

// pinned reports whether the image is named by digest.
func (p *plan) pinned() error {
	if strings.Contains(p.image.Reference, "@sha256:") {
		return nil
	}
	return fmt.Errorf("%q is not named by digest: take it from a registry or oci:DIR with --image REPOSITORY, or give --image REPOSITORY@sha256:…", p.image.Reference)
}
