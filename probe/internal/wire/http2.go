package wire

// Limits of the HTTP/2 client.
const (
	// MaxFrame is the largest frame payload accepted: the initial value of
	// SETTINGS_MAX_FRAME_SIZE, which the probe never raises.
	MaxFrame = 16384
	// MaxHeaderBlock bounds one header block with its continuations.
	MaxHeaderBlock = 32 << 10
	// MaxMessage bounds one gRPC message.
	MaxMessage = 1024
	// MaxFrames bounds the frames of one connection, so that a server that
	// never stops sending pings does not keep the probe busy.
	MaxFrames = 4096
)

// Frame types (RFC 9113 section 6).
const (
	frameData         = 0
	frameHeaders      = 1
	framePriority     = 2
	frameReset        = 3
	frameSettings     = 4
	framePushPromise  = 5
	framePing         = 6
	frameGoAway       = 7
	frameWindowUpdate = 8
	frameContinuation = 9
)

const (
	flagEndStream  = 0x1
	flagAck        = 0x1
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

// Call is the client side of one unary gRPC call after another on one HTTP/2
// connection: it parses what the server sends (RFC 9113) and collects the
// answer to the call begun last. Replies that the protocol demands are put
// into Reply, for the caller to send after each Feed.
type Call struct {
	HTTPStatus int    // :status, 0 if not seen
	GRPCStatus int    // grpc-status, -1 if not seen
	Message    []byte // of the answer; valid when Feed returned Done
	HasMessage bool
	Err        string // why Feed or EOF returned Failed
	ResetCode  int    // error code of RST_STREAM or GOAWAY, -1 if none came

	Reply    [32]byte
	ReplyLen int

	stream     uint32
	started    bool
	grpcType   bool
	headers    bool
	endAfter   bool
	frames     int
	head       [9]byte
	headLen    int
	payloadLen int
	blockLen   int
	inBlock    uint32
	bodyLen    int
	field      header
	body       [5 + MaxMessage]byte
	memory     *CallMemory
}

// CallMemory is the memory of a Call for frames and header blocks that come in
// pieces. It is apart because most do not, and memory that is never touched is
// never allocated.
type CallMemory struct {
	payload [MaxFrame]byte
	block   [MaxHeaderBlock]byte
}

// Reset makes c ready for a new connection.
func (c *Call) Reset(m *CallMemory) {
	c.memory = m
	c.started, c.Err, c.frames = false, "", 0
	c.headLen, c.payloadLen, c.blockLen, c.inBlock, c.ReplyLen = 0, 0, 0, 0, 0
	c.ResetCode = -1
}

// Begin starts waiting for the answer to the call on the given stream.
func (c *Call) Begin(stream uint32) {
	c.stream = stream
	c.HTTPStatus, c.GRPCStatus, c.ResetCode = 0, -1, -1
	c.Message, c.HasMessage = nil, false
	c.headers, c.endAfter, c.grpcType = false, false, false
	c.bodyLen = 0
}

// Started reports whether the server has sent a first valid frame.
func (c *Call) Started() bool { return c.started }

// Feed parses the next bytes, at most up to the end of one frame, and returns
// how many it used.
func (c *Call) Feed(p []byte) (int, Verdict) {
	c.ReplyLen = 0
	if c.Err != "" {
		return 0, Failed
	}
	used := copy(c.head[c.headLen:], p)
	c.headLen += used
	if !c.started && c.notHTTP2() {
		return used, Failed
	}
	if c.headLen < len(c.head) {
		return used, More
	}
	size := int(c.head[0])<<16 | int(c.head[1])<<8 | int(c.head[2])
	if size > MaxFrame {
		return used, c.fail("the server sent an HTTP/2 frame over the 16 KiB limit")
	}
	payload := p[used:]
	if c.payloadLen == 0 && len(payload) >= size {
		payload = payload[:size] // the whole frame is here: no need to collect it
		used += size
	} else {
		n := copy(c.memory.payload[c.payloadLen:size], payload)
		c.payloadLen += n
		used += n
		if c.payloadLen < size {
			return used, More
		}
		payload = c.memory.payload[:size]
	}
	c.headLen, c.payloadLen = 0, 0
	c.frames++
	if c.frames > MaxFrames {
		return used, c.fail("the server sent more than 4096 HTTP/2 frames for one check")
	}
	return used, c.frame(payload)
}

// EOF tells c that the connection has ended.
func (c *Call) EOF() Verdict {
	if c.Err != "" {
		return Failed
	}
	if !c.started {
		return c.fail("the server closed the connection without an answer")
	}
	return c.fail("the server closed the connection before the call was answered")
}

// notHTTP2 looks at the beginning of the stream for a server of another kind.
// A server's first frame is SETTINGS (RFC 9113 section 3.4).
func (c *Call) notHTTP2() bool {
	b := c.head[:c.headLen]
	switch {
	case len(b) >= 5 && string(b[:5]) == "HTTP/":
		c.Err = "the server answers HTTP/1, not HTTP/2: is it a gRPC port?"
	case len(b) >= 2 && b[0] == 0x15 && b[1] == 0x03:
		c.Err = "the server speaks TLS: use grpcs"
	case len(b) >= 4 && b[3] != frameSettings:
		c.Err = "the server does not speak HTTP/2"
	}
	return c.Err != ""
}

//go:noinline
func (c *Call) fail(why string) Verdict {
	if c.Err == "" {
		c.Err = why
	}
	return Failed
}

func (c *Call) frame(p []byte) Verdict {
	kind, flags := c.head[3], c.head[4]
	stream := uint32(c.head[5]&0x7f)<<24 | uint32(c.head[6])<<16 | uint32(c.head[7])<<8 | uint32(c.head[8])
	if !c.started && (kind != frameSettings || flags&flagAck != 0) {
		return c.fail("the server does not begin with HTTP/2 settings")
	}
	c.started = true
	if c.inBlock != 0 && (kind != frameContinuation || stream != c.inBlock) {
		return c.fail("the server interrupts a header block")
	}
	if kind >= frameReset {
		return c.controlFrame(p, kind, flags, stream)
	}
	switch kind {
	case frameData:
		return c.data(p, flags, stream)
	case frameHeaders:
		return c.headersFrame(p, flags, stream)
	case framePriority:
		if len(p) != 5 || stream == 0 {
			return c.fail("the server sent a malformed priority frame")
		}
	}
	return More
}

// controlFrame takes what is neither data nor headers. It is apart from frame
// because the compiler makes a switch of eight cases a table, and reading that
// costs the fast path a page fault.
//
//go:noinline
func (c *Call) controlFrame(p []byte, kind, flags byte, stream uint32) Verdict {
	switch kind {
	case frameContinuation:
		if c.inBlock == 0 {
			return c.fail("the server continues no header block")
		}
		return c.blockPart(p, flags)
	case frameSettings:
		return c.settingsFrame(p, flags, stream)
	case framePing:
		return c.ping(p, flags, stream)
	case frameReset:
		return c.reset(p, stream)
	case frameGoAway:
		return c.goAway(p, stream)
	case frameWindowUpdate:
		if len(p) != 4 {
			return c.fail("the server sent a malformed window update")
		}
	case framePushPromise:
		return c.fail("the server pushes, which was forbidden")
	}
	return More
}

func (c *Call) settingsFrame(p []byte, flags byte, stream uint32) Verdict {
	if stream != 0 || flags&flagAck != 0 && len(p) != 0 || len(p)%6 != 0 {
		return c.fail("the server sent malformed settings")
	}
	if flags&flagAck == 0 {
		c.ReplyLen = copy(c.Reply[:], "\x00\x00\x00\x04\x01\x00\x00\x00\x00")
	}
	return More
}

func (c *Call) ping(p []byte, flags byte, stream uint32) Verdict {
	if stream != 0 || len(p) != 8 {
		return c.fail("the server sent a malformed ping")
	}
	if flags&flagAck == 0 {
		n := copy(c.Reply[:], "\x00\x00\x08\x06\x01\x00\x00\x00\x00")
		c.ReplyLen = n + copy(c.Reply[n:], p)
	}
	return More
}

func (c *Call) reset(p []byte, stream uint32) Verdict {
	if len(p) != 4 || stream == 0 {
		return c.fail("the server sent a malformed stream reset")
	}
	if stream != c.stream {
		return More
	}
	c.ResetCode = int(be32(p))
	return c.fail("the server reset the call")
}

// goAway ends the connection, but calls on streams up to the named one are
// still answered (RFC 9113 section 6.8).
func (c *Call) goAway(p []byte, stream uint32) Verdict {
	if len(p) < 8 || stream != 0 {
		return c.fail("the server sent a malformed goodbye")
	}
	if be32(p)&0x7fffffff >= c.stream {
		return More
	}
	c.ResetCode = int(be32(p[4:]))
	return c.fail("the server is going away")
}

// unpad strips padding (RFC 9113 section 6.1).
func unpad(p []byte, flags byte) ([]byte, bool) {
	if flags&flagPadded == 0 {
		return p, true
	}
	if len(p) == 0 || int(p[0]) > len(p)-1 {
		return nil, false
	}
	return p[1 : len(p)-int(p[0])], true
}

func (c *Call) data(p []byte, flags byte, stream uint32) Verdict {
	p, ok := unpad(p, flags)
	if !ok || stream == 0 {
		return c.fail("the server sent a malformed data frame")
	}
	if stream != c.stream {
		return More
	}
	if !c.headers {
		return c.fail("the server sent data before headers")
	}
	if len(p) > len(c.body)-c.bodyLen {
		return c.fail("the server's message is longer than 1 KiB")
	}
	c.bodyLen += copy(c.body[c.bodyLen:], p)
	if flags&flagEndStream != 0 {
		return c.end()
	}
	return More
}

func (c *Call) headersFrame(p []byte, flags byte, stream uint32) Verdict {
	p, ok := unpad(p, flags)
	if ok && flags&flagPriority != 0 {
		if ok = len(p) >= 5; ok {
			p = p[5:]
		}
	}
	if !ok || stream == 0 {
		return c.fail("the server sent a malformed headers frame")
	}
	c.inBlock, c.blockLen = stream, 0
	c.endAfter = flags&flagEndStream != 0
	return c.blockPart(p, flags)
}

// blockPart collects a piece of a header block and decodes the whole of it
// after the last.
func (c *Call) blockPart(p []byte, flags byte) Verdict {
	block := p
	if c.blockLen > 0 || flags&flagEndHeaders == 0 {
		if len(p) > len(c.memory.block)-c.blockLen {
			return c.fail("the server's headers are longer than 32 KiB")
		}
		c.blockLen += copy(c.memory.block[c.blockLen:], p)
		block = c.memory.block[:c.blockLen]
	}
	if flags&flagEndHeaders == 0 {
		return More
	}
	stream := c.inBlock
	c.inBlock = 0
	if !c.decode(block, stream == c.stream) {
		return c.fail("the server's headers are not decodable")
	}
	if stream != c.stream {
		return More
	}
	if c.HTTPStatus >= 200 || c.HTTPStatus == 0 {
		c.headers = true
	}
	if c.endAfter {
		return c.end()
	}
	return More
}

func (c *Call) decode(b []byte, ours bool) bool {
	for len(b) > 0 {
		used, field := c.field.next(b)
		if used == 0 {
			return false
		}
		b = b[used:]
		if field && ours {
			c.note(c.field.name[:c.field.nameLen], c.field.value[:c.field.valueLen])
		}
	}
	return true
}

// note keeps the header fields that decide.
func (c *Call) note(name, value []byte) {
	switch string(name) {
	case ":status":
		c.HTTPStatus = small(value)
	case "grpc-status":
		c.GRPCStatus = small(value)
	case "content-type":
		const want = "application/grpc"
		rest := value[min(len(want), len(value)):]
		c.grpcType = len(value) >= len(want) && string(value[:len(want)]) == want &&
			(len(rest) == 0 || rest[0] == '+' || rest[0] == ';')
	}
}

// small parses a number of up to three digits, -2 if b is none.
func small(b []byte) int {
	if len(b) == 0 || len(b) > 3 {
		return -2
	}
	v := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return -2
		}
		v = v*10 + int(c-'0')
	}
	return v
}

// end judges the form of the completed answer.
func (c *Call) end() Verdict {
	switch {
	case c.HTTPStatus != 200:
		return c.fail("the server's HTTP status is not 200")
	case !c.grpcType:
		return c.fail("the server's answer is not gRPC")
	case c.GRPCStatus == -1:
		return c.fail("the server ended the call without a grpc-status")
	case c.GRPCStatus < 0:
		return c.fail("the server's grpc-status is not a number")
	}
	if c.bodyLen > 0 {
		if c.bodyLen < 5 || c.body[0] != 0 || int(be32(c.body[1:])) != c.bodyLen-5 {
			return c.fail("the server's gRPC message is malformed or compressed")
		}
		c.Message, c.HasMessage = c.body[5:c.bodyLen], true
	}
	return Done
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
