package sink

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/wneessen/go-mail"
)

type email struct {
	base
	settings emailSettings
}

type emailSettings struct {
	Host     string   `yaml:"host"`
	Port     int      `yaml:"port"`
	TLS      string   `yaml:"tls"` // starttls, implicit or none
	Username string   `yaml:"username"`
	Password Secret   `yaml:"password"`
	Auth     string   `yaml:"auth"` // plain, login, scram-sha-256; what the server offers where empty
	From     string   `yaml:"from"`
	To       []string `yaml:"to"`
}

// openEmail submits over SMTP (RFC 6409), with TLS unless told otherwise.
func openEmail(b base) (Sink, error) {
	var s emailSettings
	if err := b.decode(&s); err != nil {
		return nil, err
	}
	s.TLS = cmp.Or(s.TLS, "starttls")
	standard := map[string]int{"starttls": 587, "implicit": 465, "none": 25}
	port, known := standard[s.TLS]
	if !known {
		return nil, fmt.Errorf("tls %q: want starttls, implicit or none", s.TLS)
	}
	s.Port = cmp.Or(s.Port, port)
	if s.Host == "" || s.From == "" || len(s.To) == 0 {
		return nil, errors.New("host, from or to is missing")
	}
	if s.TLS == "none" && s.Username != "" {
		return nil, errors.New("a password is not sent without TLS; use tls: starttls or implicit")
	}
	if _, known := authTypes[s.Auth]; !known {
		return nil, fmt.Errorf("auth %q: want plain, login or scram-sha-256", s.Auth)
	}
	e := &email{b, s}
	if _, err := e.compose(store.Message{}); err != nil {
		return nil, err
	}
	if s.Username != "" {
		return e, b.need("password", s.Password)
	}
	return e, nil
}

var authTypes = map[string]mail.SMTPAuthType{
	"": mail.SMTPAuthAutoDiscover, "plain": mail.SMTPAuthPlain, "login": mail.SMTPAuthLogin, "scram-sha-256": mail.SMTPAuthSCRAMSHA256,
}

// Send submits one mail to all recipients.
func (e *email) Send(ctx context.Context, m store.Message) error {
	msg, err := e.compose(m)
	if err != nil {
		return &Error{Final: true, Err: err}
	}
	client, err := e.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, e.Timeout)
	defer cancel()
	if err := client.DialAndSendWithContext(ctx, msg); err != nil {
		var refused *mail.SendError
		if errors.As(err, &refused) && refused.ErrorCode() >= 500 && !refused.IsTemp() {
			return &Error{Status: refused.ErrorCode(), Final: true, Err: fmt.Errorf("send mail: %w", err)}
		}
		return fmt.Errorf("send mail: %w", err)
	}
	return nil
}

func (e *email) client() (*mail.Client, error) {
	s := e.settings
	config := e.Options.TLS.Clone()
	config.ServerName = s.Host
	options := []mail.Option{
		mail.WithPort(s.Port), mail.WithTimeout(e.Timeout), mail.WithTLSConfig(config),
		mail.WithDialContextFunc(e.dial(config)), mail.WithHELO(helo(e.Hostname)),
	}
	switch s.TLS {
	case "starttls":
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	case "implicit":
		options = append(options, mail.WithSSL())
	default:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	}
	if s.Username != "" {
		password, err := e.Secret(s.Password)
		if err != nil {
			return nil, err
		}
		auth := authTypes[s.Auth]
		if s.TLS == "implicit" && s.Auth == "" {
			auth = mail.SMTPAuthPlain // go-mail does not see that our connection is encrypted, and discovers nothing
		}
		options = append(options, mail.WithSMTPAuth(auth), mail.WithUsername(s.Username), mail.WithPassword(password))
	}
	return mail.NewClient(s.Host, options...)
}

// dial connects through the guard. With implicit TLS go-mail leaves the
// handshake to whoever dials.
func (e *email) dial(config *tls.Config) mail.DialContextFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if e.settings.TLS == "implicit" {
			return (&tls.Dialer{NetDialer: e.guard.dialer(), Config: config}).DialContext(ctx, network, address)
		}
		return e.guard.dialer().DialContext(ctx, network, address)
	}
}

func helo(host string) string {
	if strings.Contains(host, ".") {
		return host
	}
	return host + ".localdomain"
}

// compose writes the mail. Its Message-ID is the message's identity, so that a
// repeat after a crash is recognised; all mails of an incident are one thread.
func (e *email) compose(m store.Message) (*mail.Msg, error) {
	msg := mail.NewMsg()
	if err := msg.From(e.settings.From); err != nil {
		return nil, fmt.Errorf("from %q is no address: %w", e.settings.From, err)
	}
	if err := msg.To(e.settings.To...); err != nil {
		return nil, fmt.Errorf("to holds something that is no address: %w", err)
	}
	from := msg.GetFromString()[0]
	domain := strings.TrimSuffix(from[strings.LastIndex(from, "@")+1:], ">")
	thread := "<" + token("thread", m.Incident.DedupKey) + "@" + domain + ">"
	msg.SetMessageIDWithValue(token("message", m.ID) + "@" + domain)
	msg.SetGenHeader(mail.HeaderInReplyTo, thread)
	msg.SetGenHeader(mail.HeaderReferences, thread)
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no vacation replies
	msg.SetGenHeader("X-Hardstand-Incident", cut(printable(m.Incident.DedupKey), 200))
	msg.SetGenHeader("X-Hardstand-Severity", m.Incident.Severity.String())
	if m.Incident.Severity >= store.High && m.Reason != store.ReasonResolved {
		msg.SetImportance(mail.ImportanceHigh)
	}
	msg.SetDateWithValue(e.Now())
	msg.Subject(cut(headline(m), 200))
	msg.SetBodyString(mail.TypeTextPlain, plain(m))
	return msg, nil
}

// token is text that may stand in a Message-ID whatever the key holds.
func token(use, text string) string {
	sum := sha256.Sum256([]byte(use + "\x00" + text))
	return hex.EncodeToString(sum[:16])
}
