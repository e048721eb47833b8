package runtime

import (
	"strings"
)

// File is one of several that belong together.
type File struct {
	Name string `json:"name"`
	Data []byte `json:"-"`
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
	o := object{Profile: p}
	o.uid, o.gid = p.ids()
	for _, e := range p.Egress {
		prefix, port, err := destination(e)
		if err != nil {
			return nil, err
		}
		o.peers = append(o.peers, peer{prefix.String(), port})
	}
	files := []File{o.namespace(), o.account(), o.deployment()}
	if p.Port != 0 {
		files = append(files, o.service())
	}
	files = append(files, o.networkPolicy())
	if p.Istio {
		files = append(files, o.peerAuthentication())
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
