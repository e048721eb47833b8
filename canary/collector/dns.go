package collector

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/collector/store"
)

const (
	dnsTTL     = 5 // seconds: a resolver that repeats a question later is recognised by the nonce
	dnsAtOnce  = 256
	dnsTimeout = 2 * time.Second
)

// DNS answers for the zone that decoys resolve names in, over UDP and TCP. A
// resolver may repeat a question for days and anyone may ask one again, so a
// name is of low confidence until the full report comes.
type DNS struct {
	// Address of the answer to A and AAAA; none where nil.
	Address []net.IP
	// Tokens are hosts below the zone that credential files name: the build
	// and kind of the file, by the first label. May be nil.
	Tokens func(label string) (build, kind string, found bool)

	collector *Collector
	zone      string
	slots     chan struct{}
}

// ServeDNS listens on address until ctx ends. ready is called once both
// sockets are open.
func (c *Collector) ServeDNS(ctx context.Context, address string, d DNS, ready func(net.Addr)) error {
	if c.options.Zone == "" {
		return errors.New("serve DNS: no zone")
	}
	d.collector, d.zone, d.slots = c, dns.CanonicalName(c.options.Zone), make(chan struct{}, dnsAtOnce)
	packets, err := net.ListenPacket("udp", address)
	if err != nil {
		return fmt.Errorf("serve DNS: %w", err)
	}
	stream, err := net.Listen("tcp", packets.LocalAddr().String())
	if err != nil {
		packets.Close()
		return fmt.Errorf("serve DNS: %w", err)
	}
	mux := dns.NewServeMux()
	mux.Handle(d.zone, &d) // other zones are refused
	servers := []*dns.Server{
		{PacketConn: packets, Handler: mux, ReadTimeout: dnsTimeout, WriteTimeout: dnsTimeout, UDPSize: dns.DefaultMsgSize},
		{Listener: stream, Handler: mux, ReadTimeout: dnsTimeout, WriteTimeout: dnsTimeout, MaxTCPQueries: 16,
			IdleTimeout: func() time.Duration { return dnsTimeout }},
	}
	var wg sync.WaitGroup
	errs := make(chan error, len(servers))
	for _, s := range servers {
		wg.Go(func() { errs <- s.ActivateAndServe() })
	}
	if ready != nil {
		ready(packets.LocalAddr())
	}
	select {
	case <-ctx.Done():
		err = nil
	case err = <-errs:
	}
	packets.Close()
	stream.Close()
	wg.Wait()
	return err
}

// ServeDNS answers one question. The alarm is stored before the answer leaves;
// a client that gets none asks again.
func (d *DNS) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	reply := new(dns.Msg)
	reply.SetReply(q)
	reply.Authoritative = true
	if len(q.Question) != 1 || q.Opcode != dns.OpcodeQuery {
		reply.Rcode = dns.RcodeFormatError
		_ = w.WriteMsg(reply) // the client may be gone
		return
	}
	select {
	case d.slots <- struct{}{}:
		defer func() { <-d.slots }()
	default:
		return // overloaded: resolvers ask again
	}
	question := q.Question[0]
	ctx, cancel := context.WithTimeout(context.Background(), dnsTimeout)
	defer cancel()
	if d.take(ctx, question, w.RemoteAddr().String()) != nil {
		return // not stored: resolvers ask again
	}
	d.answer(reply, question)
	_ = w.WriteMsg(reply) // the client may be gone
}

// take stores what a question says, if it says something.
func (d *DNS) take(ctx context.Context, q dns.Question, source string) error {
	c := d.collector
	c.metrics.receive(store.ChannelDNS)
	a, err := c.verifier.CheckName(q.Name, d.zone, c.now())
	switch {
	case errors.Is(err, alert.ErrNoName):
		return d.takeToken(ctx, q, source)
	case err != nil:
		c.metrics.reject(store.ChannelDNS, err)
		return nil // a forged name is answered like any other
	}
	a.Alarm.Source = source
	a.Alarm.Facts = map[string]string{"type": dns.TypeToString[q.Qtype], "resolver": source}
	_, err = c.take(ctx, a)
	if errors.Is(err, Revoked) {
		return nil
	}
	return err
}

// takeToken notes that a credential file's host was looked up.
func (d *DNS) takeToken(ctx context.Context, q dns.Question, source string) error {
	if d.Tokens == nil {
		return nil
	}
	labels := dns.SplitDomainName(q.Name)
	if len(labels) == 0 {
		return nil
	}
	build, kind, found := d.Tokens(strings.ToLower(labels[0]))
	if !found {
		return nil
	}
	return d.collector.Ingest(ctx, store.Observation{Channel: store.ChannelDNS, Build: build, Token: kind, Proof: store.ProofNone, Source: source,
		Facts: map[string]string{"name": q.Name, "type": dns.TypeToString[q.Qtype]}})
}

// answer gives every name of the zone the same, so that guessing names tells
// nothing. The question's letters keep their case (draft-vixie-dnsext-dns0x20).
func (d *DNS) answer(reply *dns.Msg, q dns.Question) {
	header := func(kind uint16) dns.RR_Header {
		return dns.RR_Header{Name: q.Name, Rrtype: kind, Class: dns.ClassINET, Ttl: dnsTTL}
	}
	for _, ip := range d.Address {
		v4 := ip.To4()
		switch {
		case q.Qtype == dns.TypeA && v4 != nil:
			reply.Answer = append(reply.Answer, &dns.A{Hdr: header(dns.TypeA), A: v4})
		case q.Qtype == dns.TypeAAAA && v4 == nil:
			reply.Answer = append(reply.Answer, &dns.AAAA{Hdr: header(dns.TypeAAAA), AAAA: ip})
		}
	}
	if q.Qtype == dns.TypeTXT {
		reply.Answer = append(reply.Answer, &dns.TXT{Hdr: header(dns.TypeTXT), Txt: []string{"ok"}})
	}
	if len(reply.Answer) == 0 { // NODATA, HTTPS included
		reply.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: d.zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: dnsTTL},
			Ns: "ns." + d.zone, Mbox: "hostmaster." + d.zone, Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: dnsTTL}}
	}
}
