package runtime

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
	"sync"
	"text/template"
)

// File is one of several that belong together.
type File struct {
	Name string `json:"name"`
	Data []byte `json:"-"`
}

//go:embed kubernetes.tmpl
var kubernetesText string

var kubernetesTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{"quoted": quoted}).Parse(kubernetesText))
})

// object is what the templates read: a profile, and what follows of it.
type object struct {
	Profile
	UID, GID             int
	HalfMemory, FifthCPU int
	Memory, Arch         string
	Liveness             string
	Peers                []peer
}

// peer is a destination in a NetworkPolicy.
type peer struct {
	CIDR string
	Port int
}

// Kubernetes writes what an application needs in a namespace of its own: the
// namespace, where Pod Security enforces restricted, an account without
// rights, a Deployment, a Service if it listens, and a NetworkPolicy that lets
// nothing in but to its port.
func Kubernetes(p Profile) ([]File, error) {
	p, err := p.complete()
	if err != nil {
		return nil, err
	}
	o := object{Profile: p, Memory: p.goMemory(), HalfMemory: max(1, p.MemoryMiB/2), FifthCPU: max(1, p.MilliCPU/5)}
	o.UID, o.GID = p.ids()
	o.Liveness = "exec: {command: " + quoted(p.Check) + "}"
	if p.Port != 0 && !p.Exec {
		o.Liveness = fmt.Sprintf("tcpSocket: {port: %d}", p.Port)
	}
	if p.Single {
		o.Arch = platforms[p.Platform].goarch
	}
	for _, e := range p.Egress {
		prefix, port, err := destination(e)
		if err != nil {
			return nil, err
		}
		o.Peers = append(o.Peers, peer{prefix.String(), port})
	}
	names := []string{"namespace", "serviceaccount", "deployment"}
	if p.Port != 0 {
		names = append(names, "service")
	}
	names = append(names, "networkpolicy")
	if p.Istio {
		names = append(names, "peerauthentication")
	}
	var files []File
	for _, name := range names {
		var b bytes.Buffer
		if err := kubernetesTemplate().ExecuteTemplate(&b, name, o); err != nil {
			return nil, err
		}
		files = append(files, File{name + ".yaml", b.Bytes()})
	}
	return files, nil
}

// Documents joins files of YAML to one.
func Documents(files []File) []byte {
	parts := make([]string, len(files))
	for i, f := range files {
		parts[i] = string(f.Data)
	}
	return []byte(strings.Join(parts, "---\n"))
}
