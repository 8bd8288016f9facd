//! The extensions and parts that the standard predefines for observables (STIX 2.1 §6).

use super::{
    common::Extension,
    field::{Artifact, Count, Custom, Dictionary, File, FileOrDirectory, Hashes, Hex, Integer, Number, Ref, Word},
    shape::{Property, Shape, Shaped, Structure},
    vocabulary::{
        AddressFamily, IntegrityLevel, PeBinaryType, RegistryDataType, ServiceStartType, ServiceStatus, ServiceType,
        SocketType,
    },
};
use crate::time::Timestamp;

extensions! {
    /// The extensions of a `file`.
    "6.7" FileExtensions {
        archive as "archive-ext": ArchiveFile,
        ntfs as "ntfs-ext": NtfsFile,
        pdf as "pdf-ext": PdfFile,
        raster_image as "raster-image-ext": RasterImageFile,
        windows_pebinary as "windows-pebinary-ext": WindowsPeBinary,
    }
}

structure! {
    /// What an archive holds.
    "6.7.2" ArchiveFile "archive-ext" {
        contains_refs: Vec<Ref<FileOrDirectory>>,
        comment: Option<String>,
    }
}

structure! {
    /// What NTFS knows of a file.
    "6.7.3" NtfsFile "ntfs-ext" {
        sid: Option<String>,
        alternate_data_streams: Option<Vec<AlternateDataStream>>,
    }
}

structure! {
    /// A stream of bytes beside a file's own.
    "6.7.3" AlternateDataStream "alternate-data-stream-type" {
        name: String,
        hashes: Option<Hashes>,
        size: Option<Count>,
    }
}

structure! {
    /// What a PDF tells of itself.
    "6.7.4" PdfFile "pdf-ext" {
        version: Option<String>,
        is_optimized: Option<bool>,
        document_info_dict: Option<Dictionary<String>>,
        pdfid0: Option<String>,
        pdfid1: Option<String>,
    }
}

structure! {
    /// What a picture tells of itself.
    "6.7.5" RasterImageFile "raster-image-ext" {
        image_height: Option<Integer>,
        image_width: Option<Integer>,
        bits_per_pixel: Option<Integer>,
        exif_tags: Option<Dictionary<serde_json::Value>>,
    }
}

structure! {
    /// The headers of a portable executable.
    "6.7.6" WindowsPeBinary "windows-pebinary-ext" {
        pe_type: Word<PeBinaryType>,
        imphash: Option<String>,
        machine_hex: Option<Hex>,
        number_of_sections: Option<Count>,
        time_date_stamp: Option<Timestamp>,
        pointer_to_symbol_table_hex: Option<Hex>,
        number_of_symbols: Option<Count>,
        size_of_optional_header: Option<Count>,
        characteristics_hex: Option<Hex>,
        file_header_hashes: Option<Hashes>,
        optional_header: Option<WindowsPeOptionalHeader>,
        sections: Option<Vec<WindowsPeSection>>,
    }
}

structure! {
    /// The optional header of a portable executable.
    "6.7.6" WindowsPeOptionalHeader "windows-pe-optional-header-type" {
        magic_hex: Option<Hex>,
        major_linker_version: Option<Integer>,
        minor_linker_version: Option<Integer>,
        size_of_code: Option<Count>,
        size_of_initialized_data: Option<Count>,
        size_of_uninitialized_data: Option<Count>,
        address_of_entry_point: Option<Integer>,
        base_of_code: Option<Integer>,
        base_of_data: Option<Integer>,
        image_base: Option<Integer>,
        section_alignment: Option<Integer>,
        file_alignment: Option<Integer>,
        major_os_version: Option<Integer>,
        minor_os_version: Option<Integer>,
        major_image_version: Option<Integer>,
        minor_image_version: Option<Integer>,
        major_subsystem_version: Option<Integer>,
        minor_subsystem_version: Option<Integer>,
        win32_version_value_hex: Option<Hex>,
        size_of_image: Option<Count>,
        size_of_headers: Option<Count>,
        checksum_hex: Option<Hex>,
        subsystem_hex: Option<Hex>,
        dll_characteristics_hex: Option<Hex>,
        size_of_stack_reserve: Option<Count>,
        size_of_stack_commit: Option<Count>,
        size_of_heap_reserve: Option<Count>,
        size_of_heap_commit: Option<Count>,
        loader_flags_hex: Option<Hex>,
        number_of_rva_and_sizes: Option<Integer>,
        hashes: Option<Hashes>,
    }
}

structure! {
    /// A section of a portable executable.
    "6.7.6" WindowsPeSection "windows-pe-section-type" {
        name: String,
        size: Option<Count>,
        entropy: Option<Number>,
        hashes: Option<Hashes>,
    }
}

extensions! {
    /// The extensions of a `network-traffic`.
    "6.12" NetworkTrafficExtensions {
        http_request as "http-request-ext": HttpRequest,
        icmp as "icmp-ext": Icmp,
        socket as "socket-ext": NetworkSocket,
        tcp as "tcp-ext": Tcp,
    }
}

structure! {
    /// A request by HTTP.
    "6.12.2" HttpRequest "http-request-ext" {
        request_method: String,
        request_value: String,
        request_version: Option<String>,
        request_header: Option<Dictionary<Vec<String>>>,
        message_body_length: Option<Integer>,
        message_body_data_ref: Option<Ref<Artifact>>,
    }
}

structure! {
    /// A message of ICMP.
    "6.12.3" Icmp "icmp-ext" {
        icmp_type_hex: Hex,
        icmp_code_hex: Hex,
    }
}

structure! {
    /// The socket of a connection.
    "6.12.4" NetworkSocket "socket-ext" {
        address_family: Word<AddressFamily>,
        is_blocking: Option<bool>,
        is_listening: Option<bool>,
        options: Option<Dictionary<Integer>>,
        socket_type: Option<Word<SocketType>>,
        socket_descriptor: Option<Count>,
        socket_handle: Option<Integer>,
    }
}

structure! {
    /// The flags of TCP that were seen.
    "6.12.5" Tcp "tcp-ext" {
        src_flags_hex: Option<Hex>,
        dst_flags_hex: Option<Hex>,
    }
}

extensions! {
    /// The extensions of a `process`.
    "6.13" ProcessExtensions {
        windows_process as "windows-process-ext": WindowsProcess,
        windows_service as "windows-service-ext": WindowsService,
    }
}

structure! {
    /// What Windows knows of a process.
    "6.13.2" WindowsProcess "windows-process-ext" {
        aslr_enabled: Option<bool>,
        dep_enabled: Option<bool>,
        priority: Option<String>,
        owner_sid: Option<String>,
        window_title: Option<String>,
        startup_info: Option<Dictionary<serde_json::Value>>,
        integrity_level: Option<Word<IntegrityLevel>>,
    }
}

structure! {
    /// A service of Windows.
    "6.13.3" WindowsService "windows-service-ext" {
        service_name: Option<String>,
        descriptions: Option<Vec<String>>,
        display_name: Option<String>,
        group_name: Option<String>,
        start_type: Option<Word<ServiceStartType>>,
        service_dll_refs: Option<Vec<Ref<File>>>,
        service_type: Option<Word<ServiceType>>,
        service_status: Option<Word<ServiceStatus>>,
    }
}

extensions! {
    /// The extensions of a `user-account`.
    "6.16" UserAccountExtensions {
        unix_account as "unix-account-ext": UnixAccount,
    }
}

structure! {
    /// An account of a Unix system.
    "6.16.2" UnixAccount "unix-account-ext" {
        gid: Option<Integer>,
        groups: Option<Vec<String>>,
        home_dir: Option<String>,
        shell: Option<String>,
    }
}

structure! {
    /// A value under a key of the Windows registry.
    "6.17.2" WindowsRegistryValue "windows-registry-value-type" {
        name: Option<String>,
        data: Option<String>,
        data_type: Option<Word<RegistryDataType>>,
    }
}

structure! {
    /// The extensions of a certificate of X.509, version 3.
    "6.18.2" X509V3Extensions "x509-v3-extensions-type" {
        basic_constraints: Option<String>,
        name_constraints: Option<String>,
        policy_constraints: Option<String>,
        key_usage: Option<String>,
        extended_key_usage: Option<String>,
        subject_key_identifier: Option<String>,
        authority_key_identifier: Option<String>,
        subject_alternative_name: Option<String>,
        issuer_alternative_name: Option<String>,
        subject_directory_attributes: Option<String>,
        crl_distribution_points: Option<String>,
        inhibit_any_policy: Option<String>,
        private_key_usage_period_not_before: Option<Timestamp>,
        private_key_usage_period_not_after: Option<Timestamp>,
        certificate_policies: Option<String>,
        policy_mappings: Option<String>,
    }
}
