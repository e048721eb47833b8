package ssh

import (
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hardstand/hardstand/canary/collector/listen/listentest"
	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/hardstand/hardstand/internal/deptest"
	"golang.org/x/crypto/ssh"
)

func TestBoundary(t *testing.T) {
	deptest.Check(t, deptest.Allow{
		"github.com/hardstand/hardstand/canary/alert":            "host key",
		"github.com/hardstand/hardstand/canary/token":            "what was planted",
		"github.com/hardstand/hardstand/canary/collector/store":  "the nouns",
		"github.com/hardstand/hardstand/canary/collector/listen": "the book",
		"golang.org/x/crypto/...":                                "SSH",
	})
}

func TestKeysAreRecognised(t *testing.T) {
	p := listentest.New(t, "https://127.0.0.1", nil)
	l := &Listener{Book: p.Book, Report: p.Report, Master: p.Master}
	address := listentest.Serve(t, "127.0.0.1:0", l.Handle)
	text, err := os.ReadFile(filepath.Join(p.Home, ".ssh/id_ed25519"))
	if err != nil {
		t.Fatal(err)
	}
	planted, err := ssh.ParsePrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	named := "ops-" + p.Credential("ssh").ID
	var hostKeys []string
	for _, try := range []struct {
		user  string
		auth  ssh.AuthMethod
		proof store.Proof
	}{
		{named, ssh.PublicKeys(planted), store.ProofKey},
		{"root", ssh.PublicKeys(foreign, planted), store.ProofKey},
		{named, ssh.PublicKeys(foreign), store.ProofNone},
		{named, ssh.PublicKeys(offered{planted}), store.ProofNone},
	} {
		_, err := ssh.Dial("tcp", address, &ssh.ClientConfig{User: try.user, Auth: []ssh.AuthMethod{try.auth}, Timeout: 10 * time.Second,
			HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
				hostKeys = append(hostKeys, ssh.FingerprintSHA256(key))
				return nil
			}})
		if err == nil {
			t.Fatal("somebody got in")
		}
		if o := p.Want(t, "ssh", try.proof); o.Facts["user"] != try.user {
			t.Errorf("facts %v", o.Facts)
		}
	}
	if hostKeys[0] != hostKeys[1] {
		t.Error("the host key changes")
	}
	if _, err := ssh.Dial("tcp", address, &ssh.ClientConfig{User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(foreign), ssh.Password("x")}, HostKeyCallback: ssh.InsecureIgnoreHostKey()}); err == nil {
		t.Fatal("somebody got in")
	}
	p.None(t)
}

// offered is a public key whose private half somebody does not have.
type offered struct{ ssh.Signer }

func (offered) Sign(io.Reader, []byte) (*ssh.Signature, error) {
	return &ssh.Signature{Format: ssh.KeyAlgoED25519, Blob: make([]byte, ed25519.SignatureSize)}, nil
}
