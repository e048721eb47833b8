package collector

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/hardstand/hardstand/canary/collector"
	"github.com/hardstand/hardstand/canary/collector/listen"
	"github.com/hardstand/hardstand/canary/collector/listen/api"
	"github.com/hardstand/hardstand/canary/collector/listen/mysql"
	"github.com/hardstand/hardstand/canary/collector/listen/postgres"
	"github.com/hardstand/hardstand/canary/collector/listen/smtp"
	"github.com/hardstand/hardstand/canary/collector/listen/ssh"
	"github.com/hardstand/hardstand/canary/collector/register"
)

// credentialsConfig is the section credentials: where else than at the alarms'
// address holders of credential files are listened to.
type credentialsConfig struct {
	HTTPS    []string `yaml:"https"` // more addresses for HTTP APIs, such as :6443 for kubeconfigs
	Postgres string   `yaml:"postgres"`
	MySQL    string   `yaml:"mysql"`
	SSH      string   `yaml:"ssh"`
	SMTP     string   `yaml:"smtp"`
}

type credentials struct {
	book      *listen.Book
	api       http.Handler
	https     []string
	listeners []credentialListener
}

type credentialListener struct {
	name, address string
	run           func(context.Context, net.Listener, listen.Server) error
}

// openCredentials makes the listeners. Their book may be empty: a register that
// comes later fills it.
func openCredentials(conf credentialsConfig, c *collector.Collector, known *register.Register, certificate *collector.Certificate, log *slog.Logger) *credentials {
	book := listen.NewBook()
	fill(book, known)
	// Host key and salts have to stay the same, whichever image's master that
	// is made with.
	master := known.Masters()[0]
	failed := func(err error) { log.Error("a credential's use was not stored", "error", err) }
	var secure *tls.Config
	if certificate != nil {
		secure = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: certificate.Get}
	}
	out := &credentials{book: book, api: &api.Handler{Book: book, Report: c.Ingest, Failed: failed}, https: conf.HTTPS}
	add := func(name, address string, run func(context.Context, net.Listener, listen.Server) error) {
		if address != "" {
			out.listeners = append(out.listeners, credentialListener{name, address, run})
		}
	}
	connections := func(handle func(context.Context, net.Conn) error) func(context.Context, net.Listener, listen.Server) error {
		return func(ctx context.Context, l net.Listener, s listen.Server) error { return s.Serve(ctx, l, handle) }
	}
	add("PostgreSQL", conf.Postgres, connections((&postgres.Listener{Book: book, Report: c.Ingest, TLS: secure, Master: master}).Handle))
	add("MySQL", conf.MySQL, connections((&mysql.Listener{Book: book, Report: c.Ingest, TLS: secure}).Handle))
	add("SSH", conf.SSH, connections((&ssh.Listener{Book: book, Report: c.Ingest, Master: master}).Handle))
	mail := &smtp.Listener{Book: book, Report: c.Ingest, TLS: secure, Failed: failed}
	add("SMTP", conf.SMTP, mail.Serve)
	return out
}

// fill makes a book hold what a register lists, and nothing else.
func fill(book *listen.Book, known *register.Register) {
	var builds []string
	for _, canary := range known.Canaries() {
		if len(canary.Tokens) > 0 {
			builds = append(builds, canary.Build)
		}
	}
	for _, master := range known.Masters() {
		book.Add(master, builds...)
	}
	book.Keep(builds)
}

func (l credentialListener) serve(ctx context.Context, log *slog.Logger, ready func(net.Addr)) error {
	socket, err := net.Listen("tcp", l.address)
	if err != nil {
		return fmt.Errorf("listen for %s: %w", l.name, err)
	}
	ready(socket.Addr())
	return l.run(ctx, socket, limits(log, l.name))
}
