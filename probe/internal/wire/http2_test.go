package wire

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestHuffman decodes what another implementation encodes.
func TestHuffman(t *testing.T) {
	for c := range 256 {
		text := "x" + string([]byte{byte(c)}) + "yz"
		dst := make([]byte, 16)
		n, ok := huffman(dst, hpack.AppendHuffmanString(nil, text))
		if !ok || string(dst[:n]) != text {
			t.Errorf("decoded %q, want %q (%v)", dst[:n], text, ok)
		}
	}
}

func FuzzHuffman(f *testing.F) {
	f.Add([]byte{0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, src []byte) {
		dst := make([]byte, 4*len(src))
		n, ok := huffman(dst, src)
		want, err := hpack.HuffmanDecodeToString(src)
		if ok != (err == nil) || ok && string(dst[:n]) != want {
			t.Fatalf("decoded %q, %v; another implementation says %q, %v", dst[:n], ok, want, err)
		}
	})
}

// frames writes a server's side of a conversation.
func frames(write func(*http2.Framer, *hpack.Encoder, *bytes.Buffer)) []byte {
	var out, block bytes.Buffer
	framer := http2.NewFramer(&out, nil)
	framer.AllowIllegalWrites = true
	encoder := hpack.NewEncoder(&block)
	encoder.SetMaxDynamicTableSize(0)
	write(framer, encoder, &block)
	return out.Bytes()
}

func fields(e *hpack.Encoder, block *bytes.Buffer, pairs ...string) []byte {
	block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return bytes.Clone(block.Bytes())
}

// serving is the message of a healthy answer.
var serving = []byte("\x00\x00\x00\x00\x02\x08\x01")

func headers(f *http2.Framer, block []byte, endStream bool) {
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndHeaders: true, EndStream: endStream})
}

var calls = []struct {
	name  string
	write func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer)
	grpc  int
	err   string
}{
	{name: "healthy", write: func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer) {
		_ = f.WriteSettings()
		_ = f.WriteSettingsAck()
		headers(f, fields(e, b, ":status", "200", "content-type", "application/grpc"), false)
		_ = f.WriteData(1, false, serving)
		headers(f, fields(e, b, "grpc-status", "0", "grpc-message", ""), true)
	}},
	{name: "trailers-only", grpc: 12, write: func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer) {
		_ = f.WriteSettings()
		headers(f, fields(e, b, ":status", "200", "content-type", "application/grpc+proto", "grpc-status", "12"), true)
	}},
	{name: "padded-and-continued", write: func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer) {
		_ = f.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 16384})
		block := fields(e, b, ":status", "200", "content-type", "application/grpc", "x-long", strings.Repeat("v", 5000))
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:10], PadLength: 7,
			Priority: http2.PriorityParam{StreamDep: 3, Weight: 9}})
		_ = f.WriteContinuation(1, false, block[10:20])
		_ = f.WriteContinuation(1, true, block[20:])
		_ = f.WriteDataPadded(1, false, serving[:3], []byte{0, 0, 0})
		_ = f.WriteDataPadded(1, false, serving[3:], []byte{})
		headers(f, fields(e, b, "grpc-status", "0"), true)
	}},
	{name: "pings-and-windows", write: func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer) {
		_ = f.WriteSettings()
		_ = f.WritePing(false, [8]byte{1})
		_ = f.WriteWindowUpdate(0, 100)
		headers(f, fields(e, b, ":status", "103"), false)
		headers(f, fields(e, b, ":status", "200", "content-type", "application/grpc"), false)
		_ = f.WriteRawFrame(0xee, 0, 0, []byte("unknown frame"))
		_ = f.WriteData(1, false, serving)
		headers(f, fields(e, b, "grpc-status", "0"), true)
	}},
	{name: "goodbye-after-ours", write: func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer) {
		_ = f.WriteSettings()
		_ = f.WriteGoAway(1, http2.ErrCodeNo, nil)
		headers(f, fields(e, b, ":status", "200", "content-type", "application/grpc"), false)
		_ = f.WriteData(1, false, serving)
		headers(f, fields(e, b, "grpc-status", "0"), true)
	}},
	{name: "goodbye-before-ours", err: "going away", write: func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer) {
		_ = f.WriteSettings()
		_ = f.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, nil)
	}},
	{name: "reset", err: "reset the call", write: func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer) {
		_ = f.WriteSettings()
		_ = f.WriteRSTStream(1, http2.ErrCodeRefusedStream)
	}},
	{name: "no-grpc-status", err: "without a grpc-status", write: func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer) {
		_ = f.WriteSettings()
		headers(f, fields(e, b, ":status", "200", "content-type", "application/grpc"), false)
		_ = f.WriteData(1, true, serving)
	}},
	{name: "not-found", err: "not 200", write: func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer) {
		_ = f.WriteSettings()
		headers(f, fields(e, b, ":status", "404"), true)
	}},
	{name: "web-page", err: "not gRPC", write: func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer) {
		_ = f.WriteSettings()
		headers(f, fields(e, b, ":status", "200", "content-type", "text/html"), false)
		_ = f.WriteData(1, true, []byte("<html>"))
	}},
	{name: "compressed", err: "compressed", write: func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer) {
		_ = f.WriteSettings()
		headers(f, fields(e, b, ":status", "200", "content-type", "application/grpc"), false)
		_ = f.WriteData(1, false, []byte("\x01\x00\x00\x00\x02\x08\x01"))
		headers(f, fields(e, b, "grpc-status", "0"), true)
	}},
	{name: "data-first", err: "before headers", write: func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer) {
		_ = f.WriteSettings()
		_ = f.WriteData(1, false, serving)
	}},
	{name: "long-message", err: "1 KiB", write: func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer) {
		_ = f.WriteSettings()
		headers(f, fields(e, b, ":status", "200", "content-type", "application/grpc"), false)
		_ = f.WriteData(1, false, make([]byte, 8000))
	}},
	{name: "long-headers", err: "32 KiB", write: func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer) {
		_ = f.WriteSettings()
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: make([]byte, 16000)})
		for range 3 {
			_ = f.WriteContinuation(1, false, make([]byte, 16000))
		}
	}},
	{name: "interrupted-block", err: "interrupts", write: func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer) {
		_ = f.WriteSettings()
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x88}})
		_ = f.WritePing(false, [8]byte{})
	}},
	{name: "dynamic-table", err: "not decodable", write: func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer) {
		_ = f.WriteSettings()
		headers(f, []byte{0x80 | 62}, true)
	}},
	{name: "dynamic-table-size", err: "not decodable", write: func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer) {
		_ = f.WriteSettings()
		headers(f, []byte{0x3f, 0xe1, 0x1f}, true)
	}},
	{name: "push", err: "pushes", write: func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer) {
		_ = f.WriteSettings()
		_ = f.WritePushPromise(http2.PushPromiseParam{StreamID: 1, PromiseID: 2, BlockFragment: []byte{0x88}, EndHeaders: true})
	}},
	{name: "huge-frame", err: "16 KiB", write: func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer) {
		_ = f.WriteSettings()
		_ = f.WriteData(1, false, make([]byte, 20000))
	}},
	{name: "ping-flood", err: "4096", write: func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer) {
		_ = f.WriteSettings()
		for range MaxFrames {
			_ = f.WritePing(false, [8]byte{})
		}
	}},
	{name: "no-settings", err: "HTTP/2", write: func(f *http2.Framer, e *hpack.Encoder, b *bytes.Buffer) {
		_ = f.WritePing(false, [8]byte{})
	}},
}

// answerOf feeds a stream in pieces and returns the call and its verdict.
func answerOf(stream []byte, piece int) (*Call, Verdict) {
	c := new(Call)
	c.Reset(new(CallMemory))
	c.Begin(1)
	for len(stream) > 0 {
		p := stream[:min(piece, len(stream))]
		stream = stream[len(p):]
		for len(p) > 0 {
			used, verdict := c.Feed(p)
			p = p[used:]
			if verdict != More {
				return c, verdict
			}
		}
	}
	return c, c.EOF()
}

func TestCall(t *testing.T) {
	for _, tt := range calls {
		t.Run(tt.name, func(t *testing.T) {
			for _, piece := range []int{1, 10, 1 << 20} {
				c, verdict := answerOf(frames(tt.write), piece)
				if tt.err != "" {
					if verdict != Failed || !strings.Contains(c.Err, tt.err) {
						t.Errorf("in pieces of %d: verdict %v, error %q; want %q", piece, verdict, c.Err, tt.err)
					}
					continue
				}
				if verdict != Done || c.GRPCStatus != tt.grpc {
					t.Fatalf("in pieces of %d: verdict %v, grpc-status %d, error %q", piece, verdict, c.GRPCStatus, c.Err)
				}
				if tt.grpc == 0 {
					if status, ok := HealthStatus(c.Message); !ok || status != Serving {
						t.Errorf("health status %d, %v", status, ok)
					}
				}
			}
		})
	}
}

func FuzzCall(f *testing.F) {
	for _, tt := range calls {
		if stream := frames(tt.write); len(stream) < 1<<16 {
			f.Add(stream, uint8(5))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) {
		whole, v1 := answerOf(stream, len(stream)+1)
		parts, v2 := answerOf(stream, int(piece)+1)
		if v1 != v2 || whole.Err != parts.Err {
			t.Fatalf("whole: %v %q; in pieces: %v %q", v1, whole.Err, v2, parts.Err)
		}
		if v1 == Done && whole.HasMessage {
			HealthStatus(whole.Message)
		}
	})
}

// TestRequest reads the request with another implementation.
func TestRequest(t *testing.T) {
	var memory [4096]byte
	w := NewBuffer(memory[:])
	Preface(&w)
	call := HealthCall{Authority: []byte("localhost:50051"), UserAgent: "probe", Service: strings.Repeat("s", 200),
		Metadata: []string{"X-Key: value", "k-bin: abcd"}, TimeoutMS: 1500}
	call.Request(&w, 1)
	if w.Full {
		t.Fatal("the request does not fit")
	}
	rest, ok := bytes.CutPrefix(w.Bytes(), []byte(http2.ClientPreface))
	if !ok {
		t.Fatal("no preface")
	}
	framer := http2.NewFramer(nil, bytes.NewReader(rest))
	framer.ReadMetaHeaders = hpack.NewDecoder(0, nil)
	if _, err := framer.ReadFrame(); err != nil {
		t.Fatal(err)
	}
	frame, err := framer.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, field := range frame.(*http2.MetaHeadersFrame).Fields {
		got[field.Name] = field.Value
	}
	for name, want := range map[string]string{":method": "POST", ":scheme": "http", ":path": "/grpc.health.v1.Health/Check",
		":authority": "localhost:50051", "content-type": "application/grpc", "te": "trailers", "user-agent": "probe",
		"grpc-timeout": "1500m", "x-key": "value", "k-bin": "YWJjZA=="} {
		if got[name] != want {
			t.Errorf("field %s is %q, want %q", name, got[name], want)
		}
	}
	frame, err = framer.ReadFrame()
	if err != nil {
		t.Fatal(err)
	}
	data := frame.(*http2.DataFrame).Data()
	if len(data) != 5+3+200 || data[5] != 0x0a || !bytes.HasSuffix(data, []byte("ss")) {
		t.Errorf("message %q", data)
	}
}

func FuzzHealthStatus(f *testing.F) {
	f.Add([]byte{8, 1})
	f.Add([]byte{0x12, 3, 'a', 'b', 'c', 8, 2})
	f.Fuzz(func(t *testing.T, b []byte) { HealthStatus(b) })
}

func TestHealthStatus(t *testing.T) {
	tests := []struct {
		message string
		status  int
		ok      bool
	}{
		{"", ServingUnknown, true},
		{"\x08\x01", Serving, true},
		{"\x08\x02\x08\x01", Serving, true},
		{"\x08\x02", NotServing, true},
		{"\x12\x01a\x1d1234\x2112345678\x08\x01", Serving, true},
		{"\x08", 0, false},
		{"\x12\x09a", 0, false},
		{"\x0b", 0, false},
		{"\x00\x01", 0, false},
		{"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 0, false},
	}
	for _, tt := range tests {
		status, ok := HealthStatus([]byte(tt.message))
		if ok != tt.ok || ok && status != tt.status {
			t.Errorf("message %q: %d, %v", tt.message, status, ok)
		}
	}
}
