//! Selection of an adapter, on machines with several cards or several drivers for one card.

use std::str::FromStr;

use super::{AdapterReport, Gpu, GpuOptions};
use crate::{Error, Result};

/// A graphics API.
///
/// Ordered by preference for the same card: on Windows most cards support Vulkan and DX12, and DX12 without the `dxcompiler`
/// library lacks subgroups and takes minutes to compile unrolled loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// Vulkan.
    Vulkan,
    /// Metal.
    Metal,
    /// DirectX 12.
    Dx12,
}

impl Backend {
    const ALL: [Self; 3] = [Self::Vulkan, Self::Metal, Self::Dx12];

    /// Name in options and in the environment.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Dx12 => "dx12",
        }
    }

    fn of(backend: wgpu::Backend) -> Option<Self> {
        match backend {
            wgpu::Backend::Vulkan => Some(Self::Vulkan),
            wgpu::Backend::Metal => Some(Self::Metal),
            wgpu::Backend::Dx12 => Some(Self::Dx12),
            _ => None,
        }
    }
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let known = Self::ALL.into_iter().find(|backend| backend.name().eq_ignore_ascii_case(text.trim()));
        known.ok_or_else(|| format!("`{text}` is not a backend; choose vulkan, metal or dx12"))
    }
}

/// The properties of an adapter that the selection depends on.
#[derive(Clone, Debug)]
struct Card {
    name: String,
    vendor: u32,
    device: u32,
    kind: wgpu::DeviceType,
    backend: Option<Backend>,
}

impl Card {
    /// Whether two entries are one card under two drivers. Metal reports no device ids; names are compared there.
    fn is_same(&self, other: &Self) -> bool {
        if self.vendor == 0 || other.vendor == 0 {
            return self.name.eq_ignore_ascii_case(&other.name);
        }
        (self.vendor, self.device) == (other.vendor, other.device)
    }

    fn rank(&self) -> u32 {
        match self.kind {
            wgpu::DeviceType::DiscreteGpu => 0,
            wgpu::DeviceType::IntegratedGpu => 1,
            wgpu::DeviceType::VirtualGpu => 2,
            wgpu::DeviceType::Other => 3,
            wgpu::DeviceType::Cpu => 4,
        }
    }
}

/// Indices into `cards` of those that match the options, best first: by kind of card, then by card in the system's order, then by
/// backend.
fn order(cards: &[Card], name: Option<&str>, backend: Option<Backend>) -> Vec<usize> {
    let name = name.map(str::to_lowercase);
    let fits = |card: &Card| {
        name.as_ref().is_none_or(|name| card.name.to_lowercase().contains(name))
            && backend.is_none_or(|backend| card.backend == Some(backend))
    };
    let mut places: Vec<usize> = (0..cards.len()).filter(|&at| fits(&cards[at])).collect();
    places.sort_by_key(|&at| {
        let same = || cards.iter().enumerate().filter(|(_, other)| other.is_same(&cards[at]));
        // Drivers may report different kinds for one card; the best of them counts.
        let rank = same().map(|(_, card)| card.rank()).min();
        let first = same().map(|(at, _)| at).next();
        (rank, first, cards[at].backend.is_none(), cards[at].backend, at)
    });
    places
}

/// An adapter that could be opened.
#[derive(Clone, Debug)]
pub struct Candidate {
    adapter: wgpu::Adapter,
    options: GpuOptions,
}

impl Candidate {
    /// Name and backend, for messages.
    #[must_use]
    pub fn name(&self) -> String {
        let info = self.adapter.get_info();
        format!("{} ({})", info.name, info.backend)
    }

    /// Its properties and limits.
    #[must_use]
    pub fn report(&self) -> AdapterReport {
        let (info, features) = (self.adapter.get_info(), Gpu::wanted_features(&self.adapter));
        super::report(&info, features, &self.adapter.limits(), &self.options)
    }

    /// Opens the device.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] if the driver refuses.
    pub async fn open(&self) -> Result<Gpu> {
        Gpu::open(&self.adapter, &self.options).await
    }
}

impl Gpu {
    /// The adapters that match the options, best first; never empty.
    ///
    /// # Errors
    /// [`Error::NoAdapter`] if no adapter was found or none matches.
    pub async fn candidates(options: &GpuOptions) -> Result<Vec<Candidate>> {
        let set = |name: &str| std::env::var(name).ok();
        let name = options.adapter_name.clone().or_else(|| set("SPLAT_ADAPTER")).filter(|v| !v.is_empty());
        let backend = match options.backend {
            Some(backend) => Some(backend),
            None => set("SPLAT_BACKEND")
                .filter(|v| !v.is_empty())
                .map(|v| v.parse())
                .transpose()
                .map_err(|why| Error::NoAdapter { why: format!("SPLAT_BACKEND: {why}") })?,
        };
        let adapters = super::instance().enumerate_adapters(wgpu::Backends::all()).await;
        if adapters.is_empty() {
            return Err(Error::NoAdapter { why: "no Vulkan, Metal or DX12 driver was found".into() });
        }
        let cards: Vec<Card> = adapters
            .iter()
            .map(|adapter| {
                let info = adapter.get_info();
                let backend = Backend::of(info.backend);
                Card {
                    name: info.name,
                    vendor: info.vendor,
                    device: info.device,
                    kind: info.device_type,
                    backend,
                }
            })
            .collect();
        let places = order(&cards, name.as_deref(), backend);
        if places.is_empty() {
            let backend_of = |card: &Card| card.backend.map_or("unknown", Backend::name);
            let found: Vec<_> = cards.iter().map(|c| format!("{}: {}", c.name, backend_of(c))).collect();
            let mut lacks = Vec::new();
            lacks.extend(name.map(|name| format!("has `{name}` in its name")));
            lacks.extend(backend.map(|backend| format!("works by {}", backend.name())));
            let why = format!("none of the adapters found ({}) {}", found.join(", "), lacks.join(" and "));
            return Err(Error::NoAdapter { why });
        }
        let candidate = |at: usize| Candidate { adapter: adapters[at].clone(), options: options.clone() };
        Ok(places.into_iter().map(candidate).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgpu::DeviceType::{Cpu, DiscreteGpu, IntegratedGpu, Other};

    fn card(name: &str, device: u32, kind: wgpu::DeviceType, backend: Backend) -> Card {
        let vendor = if backend == Backend::Metal { 0 } else { 0x10de };
        Card { name: name.into(), vendor, device, kind, backend: Some(backend) }
    }

    /// A laptop with Windows: two cards with two drivers each, and software renderers.
    fn laptop() -> Vec<Card> {
        vec![
            card("Intel Iris Xe", 7, IntegratedGpu, Backend::Dx12),
            card("GeForce RTX 4070", 9, DiscreteGpu, Backend::Dx12),
            card("Microsoft Basic Render Driver", 1, Cpu, Backend::Dx12),
            card("Intel(R) Iris(R) Xe Graphics", 7, IntegratedGpu, Backend::Vulkan),
            card("NVIDIA GeForce RTX 4070", 9, DiscreteGpu, Backend::Vulkan),
            card("llvmpipe", 0, Cpu, Backend::Vulkan),
        ]
    }

    #[test]
    fn cards_come_first_and_then_vulkan_before_dx12() {
        assert_eq!(order(&laptop(), None, None), [4, 1, 3, 0, 2, 5]);
    }

    #[test]
    fn a_better_card_by_dx12_alone_beats_a_lesser_one_by_vulkan() {
        let cards = [
            card("Intel", 7, IntegratedGpu, Backend::Vulkan),
            card("GeForce", 9, DiscreteGpu, Backend::Dx12),
        ];
        assert_eq!(order(&cards, None, None), [1, 0]);
    }

    #[test]
    fn equal_cards_keep_the_systems_order_within_a_backend() {
        let cards = [
            card("A", 9, DiscreteGpu, Backend::Dx12),
            card("A", 9, DiscreteGpu, Backend::Vulkan),
            card("A", 9, DiscreteGpu, Backend::Vulkan),
        ];
        assert_eq!(order(&cards, None, None), [1, 2, 0]);
    }

    #[test]
    fn drivers_that_disagree_on_the_kind_are_still_one_card() {
        let cards = [
            card("GeForce", 9, DiscreteGpu, Backend::Dx12),
            card("Radeon", 3, DiscreteGpu, Backend::Vulkan),
            card("GeForce", 9, Other, Backend::Vulkan),
        ];
        assert_eq!(order(&cards, None, None), [2, 0, 1]);
    }

    #[test]
    fn name_and_backend_narrow_the_choice() {
        assert_eq!(order(&laptop(), None, Some(Backend::Dx12)), [1, 0, 2]);
        assert_eq!(order(&laptop(), Some("iris"), None), [3, 0]);
        assert_eq!(order(&laptop(), Some("RTX"), Some(Backend::Dx12)), [1]);
        assert!(order(&laptop(), Some("llvm"), Some(Backend::Metal)).is_empty());
        assert!(order(&[], None, None).is_empty());
    }

    #[test]
    fn backends_are_read_in_any_case() {
        assert_eq!(" DX12".parse(), Ok(Backend::Dx12));
        assert!("opengl".parse::<Backend>().is_err_and(|why| why.contains("vulkan, metal or dx12")));
    }
}
