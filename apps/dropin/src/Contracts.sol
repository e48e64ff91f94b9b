// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

/// What an application meets: values of every shape, events, and every way to fail.
contract Shapes {
    struct Point {
        uint256 x;
        int128 y;
        bytes data;
        string name;
    }

    error Short(uint256 missing);
    error Nested(string what, uint256[] values);

    event Moved(address indexed from, address indexed to, uint256 value);
    event Note(string text);

    mapping(address => uint256) public balances;
    uint256 public counter;
    uint256[] private list;

    function plain() external pure returns (uint256) {
        return type(uint256).max;
    }

    function many() external view returns (uint256 a, string memory b, address c, bool d, bytes32 e, int8 f) {
        return (7, unicode"søren ⚓", address(this), true, keccak256("hawser"), -1);
    }

    function points(uint256 n) external pure returns (Point[] memory found) {
        found = new Point[](n);
        for (uint256 i = 0; i < n; i++) found[i] = Point(i, -int128(int256(i)), abi.encode(i), "point");
    }

    function big(uint256 size) external pure returns (bytes memory data) {
        data = new bytes(size);
        for (uint256 i = 0; i < size; i += 97) data[i] = bytes1(uint8(i));
    }

    function nothing() external pure {}

    function failString() external pure {
        revert("no: rate limit exceeded");
    }

    function failCustom(uint256 missing) external pure {
        revert Short(missing);
    }

    function failNested() external pure {
        uint256[] memory values = new uint256[](2);
        values[0] = 1;
        values[1] = 2;
        revert Nested("both", values);
    }

    function failEmpty() external pure {
        revert();
    }

    function failRaw() external pure {
        assembly {
            mstore(0, 0xdeadbeef00000000000000000000000000000000000000000000000000000000)
            revert(0, 4)
        }
    }

    function failAssert() external pure {
        assert(false);
    }

    function failOverflow(uint8 x) external pure returns (uint8) {
        return x + 255;
    }

    function failDivision(uint256 by) external pure returns (uint256) {
        return 1 / by;
    }

    function failIndex() external view returns (uint256) {
        return list[3];
    }

    function failGas() external view returns (uint256 n) {
        while (gasleft() > 0) n++;
    }

    function deposit() external payable {
        balances[msg.sender] += msg.value;
        emit Moved(address(0), msg.sender, msg.value);
    }

    function move(address to, uint256 value) external returns (uint256) {
        if (balances[msg.sender] < value) revert Short(value - balances[msg.sender]);
        balances[msg.sender] -= value;
        balances[to] += value;
        emit Moved(msg.sender, to, value);
        emit Note("moved");
        return ++counter;
    }
}

/// Just enough of a name service for both clients to resolve one name.
contract Names {
    error OffchainLookup(address sender, string[] urls, bytes callData, bytes4 callbackFunction, bytes extraData);

    address private immutable answer;
    string private gateway;

    constructor(address answer_, string memory gateway_) {
        answer = answer_;
        gateway = gateway_;
    }

    // The registry and the resolver of ethers.
    function resolver(bytes32) external view returns (address) {
        return address(this);
    }

    function supportsInterface(bytes4) external pure returns (bool) {
        return false;
    }

    function addr(bytes32) external view returns (address) {
        return answer;
    }

    // The universal resolver of viem.
    function resolveWithGateways(bytes calldata, bytes calldata, string[] calldata)
        external
        view
        returns (bytes memory, address)
    {
        return (abi.encode(answer), address(this));
    }

    /// Asks the caller to look elsewhere (EIP-3668).
    function offchain(uint256 n) external view returns (uint256) {
        string[] memory urls = new string[](1);
        urls[0] = gateway;
        revert OffchainLookup(address(this), urls, abi.encode(n), this.onchain.selector, "");
    }

    function onchain(bytes calldata response, bytes calldata) external pure returns (uint256) {
        return abi.decode(response, (uint256));
    }
}

/// The part of Multicall3 that clients use.
contract Calls {
    struct Call {
        address target;
        bool allowFailure;
        bytes callData;
    }

    struct Result {
        bool success;
        bytes returnData;
    }

    function aggregate3(Call[] calldata calls) external payable returns (Result[] memory results) {
        results = new Result[](calls.length);
        for (uint256 i = 0; i < calls.length; i++) {
            (results[i].success, results[i].returnData) = calls[i].target.call(calls[i].callData);
            require(calls[i].allowFailure || results[i].success, "Multicall3: call failed");
        }
    }
}
