package runtime

import (
	"fmt"
	"strconv"
	"strings"
)

// Docker writes a docker run command of several lines for a POSIX shell.
func Docker(img Image, o Options) ([]byte, error) {
	p, err := prepare(img, o)
	if err != nil {
		return nil, err
	}
	if img.Reference == "" {
		return nil, fmt.Errorf("write docker run: the image has no name: give one with --image")
	}
	return commandLine(append(p.dockerFlags(), p.image.Reference)), nil
}

// TrainingOptions say where a training run finds the tracer and leaves its
// trace.
type TrainingOptions struct {
	Tracer string // file of the host: bin/hardstand-audit
	Traces string // directory of the host, writable by the container's user
}

// where a training container finds both.
const (
	tracerPath = "/.hardstand-audit"
	tracesPath = "/.hardstand-traces"
)

// Training writes a docker run command that runs the program below the
// tracer, with the same limits and the health check beside it.
func Training(img Image, o Options, t TrainingOptions) ([]byte, error) {
	o.Seccomp = ""
	// The tracer is a program of its own beside the image's.
	o.Memory = or(o.Memory, 128<<20) + 256<<20
	p, err := prepare(img, o)
	if err != nil {
		return nil, err
	}
	p.image.Health = nil // the tracer runs it
	words := append(p.dockerFlags(),
		"--volume="+t.Tracer+":"+tracerPath+":ro", "--volume="+t.Traces+":"+tracesPath, "--no-healthcheck",
		"--entrypoint="+tracerPath, img.Reference, "runtime", "trace", "--output="+tracesPath+"/"+p.Name+".trace")
	for _, word := range p.health {
		words = append(words, "--check="+word)
	}
	words = append(words, "--")
	words = append(words, img.Entrypoint...)
	return commandLine(append(words, img.Command...)), nil
}

func (p *plan) dockerFlags() []string {
	words := []string{
		"--detach", "--name=" + p.Name, "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges:true",
	}
	if p.Seccomp != "" {
		words = append(words, "--security-opt=seccomp="+p.Seccomp)
	}
	words = append(words,
		fmt.Sprintf("--user=%d:%d", p.image.UID, p.image.GID),
		fmt.Sprintf("--memory=%d", p.Memory), fmt.Sprintf("--memory-swap=%d", p.Memory),
		"--cpus="+p.cpus(), fmt.Sprintf("--pids-limit=%d", p.Processes), "--ulimit=nofile=1024:1024", "--restart=on-failure:5")
	for _, dir := range p.Writable {
		words = append(words, "--tmpfs="+p.tmpfs(dir))
	}
	if p.Network != "" {
		words = append(words, "--network="+p.Network)
	}
	if len(p.image.Health) > 0 {
		words = append(words, "--health-interval=10s", "--health-timeout=4s", "--health-retries=3")
	}
	if p.Network != "none" && p.Network != "host" {
		for _, port := range p.Ports {
			words = append(words, fmt.Sprintf("--publish=127.0.0.1:%d:%s", port.Number, port))
		}
	}
	for _, kv := range p.Env {
		words = append(words, "--env="+kv)
	}
	return words
}

func (p *plan) cpus() string { return strconv.FormatFloat(float64(p.CPU)/1000, 'f', -1, 64) }

// tmpfs is a writable place in which nothing can be executed. It belongs to
// the user, who could not write to it otherwise.
func (p *plan) tmpfs(dir string) string {
	return fmt.Sprintf("%s:rw,noexec,nosuid,nodev,size=%d,uid=%d,gid=%d,mode=0700", dir, p.WritableSize, p.image.UID, p.image.GID)
}

func commandLine(words []string) []byte {
	var b strings.Builder
	b.WriteString("docker run")
	for _, w := range words {
		b.WriteString(" \\\n  " + quote(w))
	}
	b.WriteString("\n")
	return []byte(b.String())
}

const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=./:,@+%"

// quote makes one word of a POSIX shell.
func quote(word string) string {
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
