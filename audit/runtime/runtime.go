// Package runtime writes how an image is to be run: docker run, Compose,
// Kubernetes, ECS, Falco, Tetragon and seccomp, hardened as audit/workload
// demands. It reads nothing and runs nothing; the same profile gives the same
// bytes.
package runtime

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// Profile is what has to be known of an image and its application.
type Profile struct {
	Name      string   // of the application: a DNS label
	Reference string   // REPOSITORY@sha256:DIGEST
	Program   string   // absolute path of what the image starts, "" if not known
	User      string   // UID:GID, numeric; "" is 65532:65532
	Port      int      // that the application listens on; 0 for none
	Check     []string // arguments of the health check, exec form
	Tmpfs     []string // directories that it writes to
	MemoryMiB int      // limit; 0 is 128
	MilliCPU  int      // limit; 0 is 500
	Processes int      // limit; 0 is 64
	Seccomp   string   // path of a profile on the host; "" is the runtime's own
	Decoys    []string // absolute paths of decoys
	Tokens    []string // absolute paths of canary tokens
	Exec      bool     // on Kubernetes, check by the probe and not by httpGet: needed under strict mTLS
}

var (
	label     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	reference = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}$`)
	numeric   = regexp.MustCompile(`^[1-9][0-9]{0,9}:[1-9][0-9]{0,9}$`)
	plainPath = regexp.MustCompile(`^/[A-Za-z0-9._@+/-]*$`)
	plainArg  = regexp.MustCompile(`^[A-Za-z0-9._@+/:=?&%,~{}$-]*$`)
)

// complete checks a profile and fills in what it leaves open. Only plain
// characters are let through, so that nothing has to be quoted in any format.
func (p Profile) complete() (Profile, error) {
	if p.User == "" {
		p.User = "65532:65532"
	}
	p.MemoryMiB, p.MilliCPU, p.Processes = or(p.MemoryMiB, 128), or(p.MilliCPU, 500), or(p.Processes, 64)
	switch {
	case !label.MatchString(p.Name):
		return p, fmt.Errorf("name %q is no DNS label: give one with --name", p.Name)
	case !reference.MatchString(p.Reference):
		return p, fmt.Errorf("%q names no image by digest: write REPOSITORY@sha256:DIGEST", p.Reference)
	case !numeric.MatchString(p.User):
		return p, fmt.Errorf("user %q is not numeric or has 0 in it: write UID:GID", p.User)
	case p.Port < 0 || p.Port > 65535 || p.MemoryMiB < 6 || p.MilliCPU < 1 || p.Processes < 1:
		return p, errors.New("a port or limit is out of range")
	case len(p.Check) == 0:
		return p, errors.New("the image has no health check: give its arguments with --check")
	}
	for _, name := range append(append([]string{p.Seccomp, p.Program}, p.Tmpfs...), append(p.Decoys, p.Tokens...)...) {
		if name != "" && (!plainPath.MatchString(name) || path.Clean(name) != name) {
			return p, fmt.Errorf("%q is no plain absolute path", name)
		}
	}
	for _, a := range p.Check {
		if !plainArg.MatchString(a) {
			return p, fmt.Errorf("health check argument %q has characters that need quoting", a)
		}
	}
	return p, nil
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
	p, err := p.complete()
	if err != nil {
		return nil, err
	}
	args := []string{"--detach", "--name " + p.Name, "--read-only"}
	for _, t := range p.Tmpfs {
		args = append(args, "--tmpfs "+t+":"+tmpfs)
	}
	args = append(args, "--cap-drop=ALL", "--security-opt no-new-privileges")
	if p.Seccomp != "" {
		args = append(args, "--security-opt seccomp="+p.Seccomp)
	}
	args = append(args, "--user "+p.User, fmt.Sprintf("--memory %dm", p.MemoryMiB), fmt.Sprintf("--memory-swap %dm", p.MemoryMiB),
		"--cpus "+p.cpus(), fmt.Sprintf("--pids-limit %d", p.Processes), "--ulimit nofile=1024:1024", "--env GOMEMLIMIT="+p.goMemory(), "--restart on-failure:5")
	if p.Port != 0 {
		args = append(args, fmt.Sprintf("--publish 127.0.0.1:%d:%d", p.Port, p.Port))
	}
	return []byte("docker run " + strings.Join(append(args, p.Reference), " \\\n  ") + "\n"), nil
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

// Kubernetes writes a Deployment that Pod Security allows at restricted.
func Kubernetes(p Profile) ([]byte, error) {
	p, err := p.complete()
	if err != nil {
		return nil, err
	}
	uid, gid := p.ids()
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: %[1]s\n  labels: {app.kubernetes.io/name: %[1]s}\nspec:\n  selector: {matchLabels: {app.kubernetes.io/name: %[1]s}}\n  template:\n    metadata:\n      labels: {app.kubernetes.io/name: %[1]s}\n    spec:\n", p.Name)
	fmt.Fprintf(&b, "      automountServiceAccountToken: false\n      securityContext:\n        runAsNonRoot: true\n        runAsUser: %d\n        runAsGroup: %d\n        fsGroup: %d\n        seccompProfile: {type: RuntimeDefault}\n", uid, gid, gid)
	fmt.Fprintf(&b, "      containers:\n        - name: %s\n          image: %s\n          securityContext:\n            readOnlyRootFilesystem: true\n            allowPrivilegeEscalation: false\n            capabilities: {drop: [ALL]}\n", p.Name, p.Reference)
	fmt.Fprintf(&b, "          resources:\n            requests: {cpu: %dm, memory: %dMi}\n            limits: {cpu: %dm, memory: %dMi, ephemeral-storage: 64Mi}\n          env: [{name: GOMEMLIMIT, value: %s}]\n", max(1, p.MilliCPU/5), max(1, p.MemoryMiB/2), p.MilliCPU, p.MemoryMiB, p.goMemory())
	if p.Port != 0 {
		fmt.Fprintf(&b, "          ports: [{name: app, containerPort: %d}]\n", p.Port)
	}
	how := fmt.Sprintf("exec: {command: %s}", quoted(p.Check))
	if p.Port != 0 && !p.Exec {
		how = fmt.Sprintf("tcpSocket: {port: %d}", p.Port)
	}
	fmt.Fprintf(&b, "          livenessProbe: {%s, periodSeconds: 10, timeoutSeconds: 5}\n", how)
	fmt.Fprintf(&b, "          readinessProbe: {exec: {command: %s}, periodSeconds: 5, timeoutSeconds: 5}\n", quoted(p.Check))
	p.kubernetesMounts(&b)
	return []byte(b.String()), nil
}

func (p Profile) kubernetesMounts(b *strings.Builder) {
	if len(p.Tmpfs) == 0 {
		return
	}
	b.WriteString("          volumeMounts:\n")
	for i, t := range p.Tmpfs {
		fmt.Fprintf(b, "            - {name: tmp-%d, mountPath: %s}\n", i, t)
	}
	b.WriteString("      volumes:\n")
	for i := range p.Tmpfs {
		fmt.Fprintf(b, "        - name: tmp-%d\n          emptyDir: {medium: Memory, sizeLimit: 16Mi}\n", i)
	}
}
