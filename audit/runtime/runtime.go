// Package runtime writes how an image is to be run: docker run, Compose,
// Kubernetes, ECS, Falco and seccomp, hardened as audit/workload demands. It
// reads nothing and runs nothing; the same profile gives the same bytes.
package runtime

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Profile is what has to be known of an image and its application.
type Profile struct {
	Name      string   `json:"name"`                // of the application: a DNS label
	Reference string   `json:"reference"`           // REPOSITORY@sha256:DIGEST
	Platform  string   `json:"platform,omitempty"`  // linux/amd64 or linux/arm64; "" if not known
	Single    bool     `json:"single,omitempty"`    // Reference is an image of Platform only, no index
	Program   string   `json:"program,omitempty"`   // absolute path of what the image starts, "" if not known
	User      string   `json:"user"`                // UID:GID, numeric; "" is 65532:65532
	Port      int      `json:"port,omitempty"`      // that the application listens on; 0 for none
	Check     []string `json:"check"`               // arguments of the health check, exec form
	TLS       TLS      `json:"tls,omitzero"`        // of the health check
	Tmpfs     []string `json:"tmpfs,omitempty"`     // directories that it writes to
	MemoryMiB int      `json:"memoryMiB"`           // limit; 0 is 128
	MilliCPU  int      `json:"milliCPU"`            // limit; 0 is 500
	Processes int      `json:"processes"`           // limit; 0 is 64
	Seccomp   string   `json:"seccomp,omitempty"`   // path of a profile on the host; "" is the runtime's own
	Decoys    []string `json:"decoys,omitempty"`    // absolute paths of decoys
	Tokens    []string `json:"tokens,omitempty"`    // absolute paths of canary tokens
	Exec      bool     `json:"exec,omitempty"`      // on Kubernetes, check by the probe only: needed under strict mTLS
	Istio     bool     `json:"istio,omitempty"`     // on Kubernetes, strict mTLS of Istio; implies Exec
	Namespace string   `json:"namespace,omitempty"` // on Kubernetes; "" is Name
	Egress    []string `json:"egress,omitempty"`    // CIDR:PORT that it connects to; none leaves that open
	EC2       bool     `json:"ec2,omitempty"`       // on ECS, EC2 in place of Fargate
	Region    string   `json:"region,omitempty"`    // of ECS's log group; "" is a name to replace
}

var (
	label     = shape(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	reference = shape(`^[A-Za-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}$`)
	numeric   = shape(`^[1-9][0-9]{0,9}:[1-9][0-9]{0,9}$`)
	plainPath = shape(`^/[A-Za-z0-9._@+/-]*$`)
	plainArg  = shape(`^[A-Za-z0-9._@+/:=?&%,~{}$-]*$`)
	region    = shape(`^[a-z0-9-]{1,32}$`)
)

// shape compiles an expression when it is first asked for: not before main, in
// every command.
func shape(re string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(re) })
}

// complete checks a profile and fills in what it leaves open. Only plain
// characters are let through, so that nothing has to be quoted in any format.
func (p Profile) complete() (Profile, error) {
	if p.User == "" {
		p.User = "65532:65532"
	}
	p.MemoryMiB, p.MilliCPU, p.Processes = or(p.MemoryMiB, 128), or(p.MilliCPU, 500), or(p.Processes, 64)
	if p.Namespace == "" {
		p.Namespace = p.Name
	}
	p.Exec = p.Exec || p.Istio
	switch {
	case !label().MatchString(p.Name):
		return p, fmt.Errorf("name %q is no DNS label: give one with --name", p.Name)
	case !label().MatchString(p.Namespace):
		return p, fmt.Errorf("namespace %q is no DNS label", p.Namespace)
	case p.Region != "" && !region().MatchString(p.Region):
		return p, fmt.Errorf("region %q is no name of a region", p.Region)
	case p.Platform != "" && platforms[p.Platform] == (platform{}):
		return p, fmt.Errorf("platform %q: take linux/amd64 or linux/arm64", p.Platform)
	case !reference().MatchString(p.Reference):
		return p, fmt.Errorf("%q names no image by digest: write REPOSITORY@sha256:DIGEST", p.Reference)
	case !numeric().MatchString(p.User):
		return p, fmt.Errorf("user %q is not numeric or has 0 in it: write UID:GID", p.User)
	case p.Port < 0 || p.Port > 65535 || p.MemoryMiB < 6 || p.MilliCPU < 1 || p.Processes < 1:
		return p, errors.New("a port or limit is out of range")
	case len(p.Check) == 0:
		return p, errors.New("the image has no health check: give its arguments with --check")
	}
	for _, name := range slices.Concat([]string{p.Seccomp, p.Program, p.TLS.CA, p.TLS.Cert, p.TLS.Key}, p.Tmpfs, p.Decoys, p.Tokens) {
		if name != "" && (!plainPath().MatchString(name) || path.Clean(name) != name) {
			return p, fmt.Errorf("%q is no plain absolute path", name)
		}
	}
	var err error
	if p.Check, err = p.TLS.applied(p.Check, p.Port); err != nil {
		return p, err
	}
	for _, a := range p.Check {
		if !plainArg().MatchString(a) {
			return p, fmt.Errorf("health check argument %q has characters that need quoting", a)
		}
	}
	for _, e := range p.Egress {
		if _, _, err := destination(e); err != nil {
			return p, err
		}
	}
	return p, nil
}

// platform is what others call a platform.
type platform struct{ goarch, ecs, seccomp string }

var platforms = map[string]platform{
	"linux/amd64": {"amd64", "X86_64", "SCMP_ARCH_X86_64"},
	"linux/arm64": {"arm64", "ARM64", "SCMP_ARCH_AARCH64"},
}

// Supported reports whether a platform, as os/arch, is one that profiles name.
func Supported(name string) bool { return platforms[name] != platform{} }

// destination reads CIDR:PORT, where the brackets of [2001:db8::]/32:443 are
// for the reader.
func destination(s string) (netip.Prefix, int, error) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return netip.Prefix{}, 0, fmt.Errorf("%q is no destination: write CIDR:PORT, such as 10.0.0.0/8:5432", s)
	}
	prefix, err := netip.ParsePrefix(strings.NewReplacer("[", "", "]", "").Replace(s[:i]))
	port, portErr := strconv.ParseUint(s[i+1:], 10, 16)
	if err = errors.Join(err, portErr); err != nil || port == 0 {
		return netip.Prefix{}, 0, fmt.Errorf("%q is no destination: write CIDR:PORT, such as 10.0.0.0/8:5432", s)
	}
	return prefix.Masked(), int(port), nil
}

func or(n, standard int) int {
	if n == 0 {
		return standard
	}
	return n
}

func (p Profile) ids() (uid, gid int) {
	u, g, _ := strings.Cut(p.User, ":")
	uid, _ = strconv.Atoi(u) // complete saw that it is a number
	gid, _ = strconv.Atoi(g)
	return uid, gid
}

// goMemory is nine tenths of the limit, for the garbage collector.
func (p Profile) goMemory() string { return fmt.Sprintf("%dMiB", p.MemoryMiB*9/10) }

func (p Profile) cpus() string { return strconv.FormatFloat(float64(p.MilliCPU)/1000, 'f', -1, 64) }

func quoted(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strconv.Quote(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}

const tmpfs = "rw,noexec,nosuid,nodev,size=16m"

// Docker writes a docker run command. It names no health check: --health-cmd
// needs a shell, so the image's own HEALTHCHECK in exec form has to do.
func Docker(p Profile) ([]byte, error) {
	words, err := DockerArgs(p)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString("docker run")
	for i, w := range words[2:] {
		switch {
		case i == 0:
			b.WriteString(" " + w)
		case strings.HasPrefix(w, "--") || i == len(words)-3:
			b.WriteString(" \\\n  " + w)
		default:
			b.WriteString(" " + w)
		}
	}
	return []byte(b.String() + "\n"), nil
}

// DockerArgs is the command that Docker writes, word by word.
func DockerArgs(p Profile) ([]string, error) {
	p, err := p.complete()
	if err != nil {
		return nil, err
	}
	args := []string{"docker", "run", "--detach", "--name", p.Name, "--read-only"}
	for _, t := range p.Tmpfs {
		args = append(args, "--tmpfs", t+":"+tmpfs)
	}
	args = append(args, "--cap-drop=ALL", "--security-opt", "no-new-privileges")
	if p.Seccomp != "" {
		args = append(args, "--security-opt", "seccomp="+p.Seccomp)
	}
	memory := strconv.Itoa(p.MemoryMiB) + "m"
	args = append(args, "--user", p.User, "--memory", memory, "--memory-swap", memory, "--cpus", p.cpus(), "--pids-limit", strconv.Itoa(p.Processes),
		"--ulimit", "nofile=1024:1024", "--env", "GOMEMLIMIT="+p.goMemory(), "--restart", "on-failure:5")
	if p.Port != 0 {
		args = append(args, "--publish", fmt.Sprintf("127.0.0.1:%d:%d", p.Port, p.Port))
	}
	return append(args, p.Reference), nil
}

// Compose writes a Compose file of one service.
func Compose(p Profile) ([]byte, error) {
	p, err := p.complete()
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "services:\n  %s:\n    image: %s\n    user: %q\n    read_only: true\n    cap_drop: [ALL]\n", p.Name, p.Reference, p.User)
	options := []string{"no-new-privileges:true"}
	if p.Seccomp != "" {
		options = append(options, "seccomp="+p.Seccomp)
	}
	fmt.Fprintf(&b, "    security_opt: %s\n", quoted(options))
	for i, t := range p.Tmpfs {
		if i == 0 {
			b.WriteString("    tmpfs:\n")
		}
		fmt.Fprintf(&b, "      - %q\n", t+":"+tmpfs)
	}
	fmt.Fprintf(&b, "    mem_limit: %dm\n    memswap_limit: %dm\n    cpus: %s\n    pids_limit: %d\n", p.MemoryMiB, p.MemoryMiB, p.cpus(), p.Processes)
	fmt.Fprintf(&b, "    ulimits: {nofile: 1024}\n    environment: {GOMEMLIMIT: %s}\n    restart: on-failure:5\n", p.goMemory())
	// A dollar sign is the probe's own to expand, and Compose would take it.
	fmt.Fprintf(&b, "    healthcheck:\n      test: %s\n      interval: 10s\n      timeout: 5s\n", strings.ReplaceAll(quoted(append([]string{"CMD"}, p.Check...)), "$", "$$"))
	if p.Port != 0 {
		fmt.Fprintf(&b, "    ports: [\"127.0.0.1:%d:%d\"]\n", p.Port, p.Port)
	}
	return []byte(b.String()), nil
}
