//! The relay itself: sockets, time, and the orders of a test.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{
    net::UdpSocket,
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use crate::{Emulator, Fate, Link};

/// The most clients of one relay; datagrams of further ones are not passed on.
const CLIENTS_MAX: usize = 64;

/// The largest UDP datagram.
const DATAGRAM_BYTES_MAX: usize = 65_536;

/// Datagrams of the server that wait to be looked at; further ones wait in their sockets.
const FROM_SERVER: usize = 1_024;

/// A running relay; it ends when it goes out of scope.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    orders: mpsc::UnboundedSender<Order>,
    counts: Arc<[Counts; 2]>,
    thread: Option<thread::JoinHandle<()>>,
}

/// What became of the datagrams of one way so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams that came in.
    pub datagrams: u64,
    /// Their bytes, without headers of UDP and IP.
    pub bytes: u64,
    /// Lost, by chance or because the link was cut.
    pub lost: u64,
    /// Dropped because the queue was full.
    pub dropped: u64,
    /// Passed on twice.
    pub doubled: u64,
}

#[derive(Debug, Default)]
struct Counts {
    datagrams: AtomicU64,
    bytes: AtomicU64,
    lost: AtomicU64,
    dropped: AtomicU64,
    doubled: AtomicU64,
}

impl Counts {
    fn read(&self) -> Counters {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counters {
            datagrams: read(&self.datagrams),
            bytes: read(&self.bytes),
            lost: read(&self.lost),
            dropped: read(&self.dropped),
            doubled: read(&self.doubled),
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[derive(Debug)]
enum Order {
    Change(Link),
    Cut(bool),
    Move(IpAddr),
}

/// The direction of a datagram, as an index.
const UP: usize = 0;
const DOWN: usize = 1;

impl Relay {
    /// Starts a relay on a free loopback port in front of `server`.
    ///
    /// # Errors
    /// When no socket can be opened.
    pub fn start(server: SocketAddr, link: Link) -> io::Result<Self> {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), server, link)
    }

    /// Starts a relay that listens at `address`.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn start_at(address: SocketAddr, server: SocketAddr, link: Link) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (orders, orders_out) = mpsc::unbounded_channel();
        let counts = Arc::<[Counts; 2]>::default();
        let counted = Arc::clone(&counts);
        let work = move || {
            let relayed = runtime.block_on(async move {
                let front = Arc::new(UdpSocket::from_std(socket)?);
                Relaying::new(front, server, link, counted).run(orders_out).await
            });
            if let Err(error) = relayed {
                report(&format!("the relay in front of {server} has ended: {error}"));
            }
        };
        let thread = thread::Builder::new().name("relay".into()).spawn(work)?;
        Ok(Self { address, orders, counts, thread: Some(thread) })
    }

    /// Where clients send to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what the link is like; its seed has no meaning any more.
    pub fn change(&self, link: Link) {
        self.order(Order::Change(link));
    }

    /// Cuts the link: nothing passes, and what is under way is lost.
    pub fn cut(&self) {
        self.order(Order::Cut(true));
    }

    /// Heals the link.
    pub fn heal(&self) {
        self.order(Order::Cut(false));
    }

    /// Changes the address under which the server sees the clients: to new ports of `address`. What the server sends
    /// to the old ones is lost. Another address than before looks like another network, the same like a NAT that
    /// forgot.
    pub fn change_address(&self, address: IpAddr) {
        self.order(Order::Move(address));
    }

    /// What became of the datagrams from clients to the server, and of those that went back.
    #[must_use]
    pub fn counters(&self) -> [Counters; 2] {
        [self.counts[UP].read(), self.counts[DOWN].read()]
    }

    fn order(&self, order: Order) {
        // A relay that has ended said why.
        let _ = self.orders.send(order);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // The thread ends with its orders.
        self.orders = mpsc::unbounded_channel().0;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[allow(clippy::print_stderr)] // Whoever runs the test must see why nothing passes.
fn report(line: &str) {
    eprintln!("{line}");
}

/// A datagram that is under way.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Departure {
    at: Instant,
    /// The order of admission, for those of one time.
    number: u64,
    way: usize,
    client: SocketAddr,
    datagram: Vec<u8>,
}

/// A client's socket towards the server.
#[derive(Debug)]
struct Client {
    socket: Arc<UdpSocket>,
    reader: JoinHandle<()>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

struct Relaying {
    front: Arc<UdpSocket>,
    server: SocketAddr,
    /// The address of the clients' sockets.
    back: IpAddr,
    clients: HashMap<SocketAddr, Client>,
    ways: [Emulator; 2],
    is_cut: bool,
    started: Instant,
    under_way: BinaryHeap<Reverse<Departure>>,
    admitted: u64,
    counts: Arc<[Counts; 2]>,
    answers: mpsc::Sender<(SocketAddr, Vec<u8>)>,
    answers_out: Option<mpsc::Receiver<(SocketAddr, Vec<u8>)>>,
}

impl Relaying {
    fn new(front: Arc<UdpSocket>, server: SocketAddr, link: Link, counts: Arc<[Counts; 2]>) -> Self {
        let (answers, answers_out) = mpsc::channel(FROM_SERVER);
        Self {
            front,
            server,
            back: if server.is_ipv6() { IpAddr::V6(std::net::Ipv6Addr::LOCALHOST) } else { Ipv4Addr::LOCALHOST.into() },
            clients: HashMap::new(),
            ways: [Emulator::new(link.up, link.seed), Emulator::new(link.down, !link.seed)],
            is_cut: false,
            started: Instant::now(),
            under_way: BinaryHeap::new(),
            admitted: 0,
            counts,
            answers,
            answers_out: Some(answers_out),
        }
    }

    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) -> io::Result<()> {
        let Some(mut answers) = self.answers_out.take() else { return Ok(()) };
        let front = Arc::clone(&self.front);
        let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
        loop {
            let due = self.under_way.peek().map(|Reverse(departure)| departure.at);
            let deliver_at = due.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order).await?,
                    None => return Ok(()),
                },
                received = front.recv_from(&mut buffer) => {
                    let (bytes, client) = received?;
                    if self.knows(client).await? {
                        self.admit(UP, client, buffer[..bytes].to_vec());
                    }
                }
                Some((client, datagram)) = answers.recv() => self.admit(DOWN, client, datagram),
                () = sleep_until(deliver_at) => self.deliver(),
            }
        }
    }

    async fn obey(&mut self, order: Order) -> io::Result<()> {
        match order {
            Order::Change(link) => {
                self.ways[UP].change(link.up);
                self.ways[DOWN].change(link.down);
            }
            Order::Cut(is_cut) => {
                self.is_cut = is_cut;
                self.under_way.clear();
            }
            Order::Move(address) => {
                self.back = address;
                for client in self.clients.keys().copied().collect::<Vec<_>>() {
                    let moved = self.open(client).await?;
                    self.clients.insert(client, moved);
                }
            }
        }
        Ok(())
    }

    /// Whether datagrams of a client are passed on; opens its socket at its first.
    async fn knows(&mut self, client: SocketAddr) -> io::Result<bool> {
        if self.clients.contains_key(&client) {
            return Ok(true);
        }
        if self.clients.len() >= CLIENTS_MAX {
            return Ok(false);
        }
        let opened = self.open(client).await?;
        self.clients.insert(client, opened);
        Ok(true)
    }

    /// Opens a socket towards the server, and passes on what comes back over it.
    async fn open(&self, client: SocketAddr) -> io::Result<Client> {
        let socket = Arc::new(UdpSocket::bind((self.back, 0)).await?);
        let (reading, answers, server) = (Arc::clone(&socket), self.answers.clone(), self.server);
        let reader = tokio::spawn(async move {
            let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
            loop {
                // An error is the answer of a server that does not listen just now.
                let Ok((bytes, from)) = reading.recv_from(&mut buffer).await else { continue };
                if from == server && answers.send((client, buffer[..bytes].to_vec())).await.is_err() {
                    return;
                }
            }
        });
        Ok(Client { socket, reader })
    }

    fn admit(&mut self, way: usize, client: SocketAddr, datagram: Vec<u8>) {
        let counts = &self.counts[way];
        count(&counts.datagrams);
        counts.bytes.fetch_add(datagram.len() as u64, Ordering::Relaxed);
        if self.is_cut {
            return count(&counts.lost);
        }
        match self.ways[way].admit(self.started.elapsed(), datagram.len()) {
            Fate::Lost => count(&counts.lost),
            Fate::Dropped => count(&counts.dropped),
            Fate::Arrives { at, again } => {
                if let Some(again) = again {
                    count(&counts.doubled);
                    self.depart(way, client, datagram.clone(), again);
                }
                self.depart(way, client, datagram, at);
            }
        }
    }

    fn depart(&mut self, way: usize, client: SocketAddr, datagram: Vec<u8>, at: Duration) {
        self.admitted += 1;
        let departure = Departure { at: self.started + at, number: self.admitted, way, client, datagram };
        self.under_way.push(Reverse(departure));
    }

    /// Hands over all that is due.
    fn deliver(&mut self) {
        let now = Instant::now();
        while let Some(Reverse(departure)) = self.under_way.peek()
            && departure.at <= now
        {
            let Some(Reverse(departure)) = self.under_way.pop() else { return };
            self.hand_over(&departure);
        }
    }

    /// What a socket does not take is lost, as on any link.
    fn hand_over(&self, departure: &Departure) {
        let Some(client) = self.clients.get(&departure.client) else { return };
        let _ = match departure.way {
            UP => client.socket.try_send_to(&departure.datagram, self.server),
            _ => self.front.try_send_to(&departure.datagram, departure.client),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::Way;

    /// A client, a server and a relay between them.
    fn set_up(link: Link) -> (UdpSocket, UdpSocket, Relay) {
        let bind = || {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            socket
        };
        let (client, server) = (bind(), bind());
        let relay = Relay::start(server.local_addr().unwrap(), link).unwrap();
        client.connect(relay.address()).unwrap();
        (client, server, relay)
    }

    fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
        let mut buffer = [0; 100];
        let (bytes, from) = socket.recv_from(&mut buffer).unwrap();
        (buffer[..bytes].to_vec(), from)
    }

    #[test]
    fn datagrams_travel_both_ways_and_take_their_time() {
        let way = Way { delay: Duration::from_millis(30), ..Way::default() };
        let (client, server, relay) = set_up(Link::both(way, 1));
        let sent = std::time::Instant::now();
        client.send(b"there").unwrap();
        let (there, from) = receive(&server);
        server.send_to(b"back", from).unwrap();
        assert_eq!((&there[..], &receive(&client).0[..]), (&b"there"[..], &b"back"[..]));
        assert!(sent.elapsed() >= Duration::from_millis(60), "{:?}", sent.elapsed());
        let counted = Counters { datagrams: 1, bytes: 5, ..Counters::default() };
        assert_eq!(relay.counters(), [counted, Counters { bytes: 4, ..counted }]);
    }

    #[test]
    fn a_cut_loses_all_until_it_is_healed_and_a_move_shows_another_address() {
        let (client, server, relay) = set_up(Link::both(Way::default(), 1));
        client.send(b"1").unwrap();
        let (_, before) = receive(&server);
        relay.cut();
        while relay.counters()[UP].lost == 0 {
            client.send(b"lost").unwrap();
        }
        relay.heal();
        let other = IpAddr::from([127, 0, 0, 2]);
        relay.change_address(other);
        // Those that were sent before the order was obeyed are lost; one that comes after arrives.
        server.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut buffer = [0; 100];
        let after = loop {
            client.send(b"2").unwrap();
            match server.recv_from(&mut buffer) {
                Ok((1, from)) if from.ip() == other => break from,
                _ => {}
            }
        };
        assert_ne!(before.port(), after.port());
        server.send_to(b"3", after).unwrap();
        assert_eq!(receive(&client).0, b"3");
    }

    #[test]
    fn what_is_doubled_comes_twice() {
        let way = Way { duplicate: 1.0, ..Way::default() };
        let (client, server, relay) = set_up(Link::both(way, 1));
        client.send(b"x").unwrap();
        assert_eq!((receive(&server).0, receive(&server).0), (b"x".to_vec(), b"x".to_vec()));
        assert_eq!(relay.counters()[UP].doubled, 1);
    }
}
